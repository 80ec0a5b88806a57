// What the families of rules share. A family is a closed set of rules, and a variant is its table:
// each alternative has a name in files (kName), and names, bounds and defaults of its fields
// (`fields`). From these, configurations are read, and checkpoints and messages about wrong names
// are made.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/settings.hpp"
#include "runtime/visit.hpp"

namespace keyshard {

/// The names of one family.
struct FamilyNames {
  std::string kind;                ///< with its article, as "a combiner"
  std::vector<std::string> built;  ///< in the order of the table
  /// Other spellings of built names: (spelling, name).
  std::vector<std::pair<std::string, std::string>> aliases = {};

  /// The place in `built` of a name, or of the name that it is another spelling of; nothing where
  /// there is none.
  std::optional<std::size_t> find(const std::string& name) const;

  /// The same, but throws Error{invalid_argument} with all names and the nearest one where there is
  /// none.
  std::size_t at(const std::string& name) const;

  /// The family with the registered rules of a program, which follow in `built`. Throws
  /// Error{invalid_argument} for a rule without a name, and for a name that another rule has.
  FamilyNames with(const std::vector<std::string>& own) const;

  /// Reads the name under `key` of a configuration, `otherwise` where the key is absent, and
  /// returns its place. A wrong name is recorded as a problem, and nothing is returned.
  std::optional<std::size_t> read(Settings& settings, const char* key,
                                  const std::string& otherwise) const;
};

/// The names of the alternatives of a variant, in its order.
template <class Family>
std::vector<std::string> names_of_rules() {
  std::vector<std::string> names;
  for (std::size_t index = 0; index < std::variant_size_v<Family>; ++index) {
    with_alternative<Family>(index, [&](auto rule) { names.emplace_back(decltype(rule)::kName); });
  }
  return names;
}

/// Reads the fields of a rule from a table of a configuration, each under its key; what is not
/// given stays as it is. The default of a float is recorded as the shortest decimal that reads back
/// as that float.
class FieldReader {
 public:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();

  explicit FieldReader(Settings& settings) : settings_(settings) {}

  void operator()(const char* key, float& value, double least = -kInfinity,
                  double most = kInfinity) const;
  void operator()(const char* key, double& value, double least = -kInfinity,
                  double most = kInfinity) const;
  void operator()(const char* key, bool& value) const;

  /// Records a problem where `key` is given: what it says is said by `instead`.
  void elsewhere(const char* key, const char* instead) const;

 private:
  Settings& settings_;
};

/// Writes the fields of a rule into a table, as FieldReader reads them.
class FieldWriter {
 public:
  explicit FieldWriter(SettingValue::Table& table) : table_(table) {}

  void operator()(const char* key, float value, double = 0, double = 0) const;
  void operator()(const char* key, double value, double = 0, double = 0) const;
  void operator()(const char* key, bool value) const;

  void not_built(const char* /*key*/) const {}

  void elsewhere(const char* /*key*/, const char* /*instead*/) const {}

 private:
  SettingValue::Table& table_;
};

/// The table {type = NAME, fields...} that a configuration would hold for this rule.
template <class Rule>
SettingValue tree_of_rule(const char* name, const Rule& rule) {
  SettingValue::Table table{{"type", value_of(std::string(name))}};
  Rule::fields(rule, FieldWriter(table));
  return value_of(std::move(table));
}

/// Throws Error{invalid_argument} with every problem that the reading of a configuration has found.
void require_no_problems(const SettingsReport& report);

}  // namespace keyshard
