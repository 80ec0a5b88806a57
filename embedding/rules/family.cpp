#include "embedding/rules/family.hpp"

#include <algorithm>

#include "embedding/rules/own_rules.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {

std::optional<std::size_t> FamilyNames::find(const std::string& name) const {
  const auto alias = std::find_if(aliases.begin(), aliases.end(),
                                  [&](const auto& other) { return other.first == name; });
  const auto found =
      std::find(built.begin(), built.end(), alias == aliases.end() ? name : alias->second);
  return found == built.end() ? std::nullopt : std::optional<std::size_t>(found - built.begin());
}

FamilyNames FamilyNames::with(const std::vector<std::string>& own) const {
  FamilyNames all = *this;
  for (const std::string& name : own) {
    require(!name.empty(), Kind::invalid_argument,
            "expected a name (kName) for {} that a program registers: found none", kind);
    require(!all.find(name), Kind::invalid_argument,
            "expected a new name for {} that a program registers: found \"{}\", which exists", kind,
            name);
    all.built.push_back(name);
  }
  return all;
}

std::size_t FamilyNames::at(const std::string& name) const {
  const std::optional<std::size_t> index = find(name);
  require(index.has_value(), Kind::invalid_argument, "expected {} of {}: found \"{}\"{}", kind,
          joined(built, ", "), name, did_you_mean(name, built));
  return *index;
}

std::optional<std::size_t> FamilyNames::read(Settings& settings, const char* key,
                                             const std::string& otherwise) const {
  const std::string name = settings.text(key, otherwise);
  settings.offer(key, built);
  const std::optional<std::size_t> index = find(name);
  if (!index) {
    // Records the problem; a second time where the value is no text.
    settings.choice(key, otherwise, built);
  }
  return index;
}

const OwnRules& no_own_rules() {
  static const OwnRules kNone;
  return kNone;
}

void FieldReader::operator()(const char* key, float& value, double least, double most) const {
  value = settings_.single(key, value, least, most);
}

void FieldReader::operator()(const char* key, double& value, double least, double most) const {
  value = settings_.float_sized(key, value, least, most);
}

void FieldReader::operator()(const char* key, bool& value) const {
  value = settings_.flag(key, value);
}

void FieldReader::elsewhere(const char* key, const char* instead) const {
  settings_.refuse(key, fmt::format("expected {} in place of this key", instead));
}

void FieldWriter::operator()(const char* key, float value, double, double) const {
  table_.emplace_back(key, value_of(decimal_of(value)));
}

void FieldWriter::operator()(const char* key, double value, double, double) const {
  table_.emplace_back(key, value_of(value));
}

void FieldWriter::operator()(const char* key, bool value) const {
  table_.emplace_back(key, value_of(value));
}

void require_no_problems(const SettingsReport& report) {
  require(report.messages.empty(), Kind::invalid_argument, "{}", joined(report.sorted(), "\n"));
}

}  // namespace keyshard
