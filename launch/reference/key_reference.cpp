#include "launch/reference/key_reference.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "launch/config_changes.hpp"
#include "runtime/joined.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

constexpr std::string_view kOfColumn = "data.columns[0]";

/// A path as a reference shows it: without the number of the column.
std::string shown_path(std::string path) {
  if (path.starts_with(kOfColumn)) {
    path.erase(kOfColumn.size() - 3, 3);
  }
  return path;
}

std::string path_under(const std::string& table, std::string_view key) {
  return table.empty() ? std::string(key) : fmt::format("{}.{}", table, key);
}

std::string bound_text(const KeyQuestion& question, double bound) {
  return question.type == "integer" ? fmt::format("{:.0f}", bound) : fmt::format("{}", bound);
}

/// The type with its bounds, or the words that are legal.
std::string type_text(const KeyQuestion& question) {
  constexpr double kNoInteger = 9e18;
  if (!question.legal.empty()) {
    std::vector<std::string> words;
    for (const std::string& word : question.legal) {
      words.push_back(fmt::format("`\"{}\"`", word));
    }
    return joined(words, ", ");
  }
  const bool from = std::isfinite(question.least) && question.least > -kNoInteger;
  const bool to = std::isfinite(question.most) && question.most < kNoInteger;
  return question.type +
         (from && to ? fmt::format(" from {} to {}", bound_text(question, question.least),
                                   bound_text(question, question.most))
          : from     ? fmt::format(" of at least {}", bound_text(question, question.least))
                     : "");
}

/// A default. One that the key could not be given means that it has none.
std::string value_text(const KeyQuestion& question) {
  if (std::holds_alternative<std::monostate>(question.otherwise.value)) {
    return "";
  }
  const std::optional<double> number = as_number(question.otherwise);
  const bool none = number && (*number < question.least || *number > question.most);
  return none ? "none" : fmt::format("`{}`", json_text(question.otherwise));
}

/// The words of a variation, by what `text` says of the key under them; "" where it is not read.
template <class Text>
std::vector<std::pair<std::string, std::vector<std::string>>> words_by(
    const KeyVariation& variation, const Text& text) {
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
  for (const auto& [word, question] : variation.by_word) {
    const std::string said = question && !question->type.empty() ? text(*question) : "";
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const auto& other) { return other.first == said; });
    if (group == groups.end()) {
      group = groups.insert(groups.end(), {said, {}});
    }
    group->second.push_back(word);
  }
  return groups;
}

/// The governor of a key as the key's own table would name it.
std::string governor_name(const std::string& path, const std::string& governor) {
  const std::string table = path.substr(0, path.rfind('.') + 1);
  return governor.starts_with(table) && governor.find('.', table.size()) == std::string::npos
             ? governor.substr(table.size())
             : shown_path(governor);
}

/// What `text` says of a key, and what else it says under other words of other keys.
template <class Text>
std::string varied(const FoundKeys& found, const std::string& path, const Text& text) {
  std::string all = text(found.asked.keys.at(path));
  const auto variations = found.variations.find(path);
  if (variations == found.variations.end()) {
    return all;
  }
  const std::string usual = all;
  for (const KeyVariation& variation : variations->second) {
    for (const auto& [said, words] : words_by(variation, text)) {
      if (!said.empty() && said != usual) {
        all += fmt::format("; {} where {} is {}", said, governor_name(path, variation.governor),
                           joined(words, ", "));
      }
    }
  }
  return all;
}

/// Under which words of other keys a key is read.
std::string condition_of(const FoundKeys& found, const std::string& path) {
  const auto variations = found.variations.find(path);
  std::vector<std::string> conditions;
  if (variations != found.variations.end()) {
    for (const KeyVariation& variation : variations->second) {
      const auto groups = words_by(variation, [](const KeyQuestion&) { return "read"; });
      for (const auto& [said, words] : groups) {
        if (groups.size() > 1 && !said.empty()) {
          conditions.push_back(fmt::format("{} is {}", governor_name(path, variation.governor),
                                           joined(words, ", ")));
        }
      }
    }
  }
  return joined(conditions, " and ");
}

/// What a change of a key at a resume does; of a table, its keys say that.
std::string resume_text(const std::string& path, const std::string& type) {
  if (type.starts_with("table") || type == "list of tables") {
    return "";
  }
  const KeyChange change = change_of(path);
  return change == KeyChange::free ? "free" : change == KeyChange::steers ? "warns" : "fixed";
}

/// The default of a key in its first place, and what differs in the others.
std::string defaults_text(const FoundKeys& found, const ReferenceEntry& entry,
                          const std::vector<std::string>& paths) {
  if (found.only_given.count(paths.front()) > 0) {
    return fmt::format("e.g. `{}`", entry.key->example);
  }
  std::string all = varied(found, paths.front(), value_text);
  const std::string usual = value_text(found.asked.keys.at(paths.front()));
  std::set<std::string> said{"", usual};
  std::string others;
  for (std::size_t p = 1; p < paths.size() && all == usual; ++p) {
    const std::string here = value_text(found.asked.keys.at(paths[p]));
    others += said.insert(here).second ? fmt::format("; {} in {}", here, entry.paths[p]) : "";
  }
  return all + others;
}

/// The entry of a key in the tables at `places`; a fault where nobody reads it.
ReferenceEntry make_entry(const FoundKeys& found, const KeyMeaning& key,
                          const std::vector<std::string>& places,
                          std::vector<std::string>& faults) {
  ReferenceEntry entry{&key, {}, {}, {}, {}, {}};
  std::vector<std::string> paths;
  for (const std::string& place : places) {
    const std::string path = path_under(place, key.key);
    const auto asked = found.asked.keys.find(path);
    if (asked != found.asked.keys.end() && !asked->second.type.empty()) {
      paths.push_back(path);
      entry.paths.push_back(shown_path(path));
    }
  }
  if (paths.empty()) {
    faults.push_back(fmt::format("{}: described, but nothing reads it",
                                 shown_path(path_under(places.front(), key.key))));
    return entry;
  }
  entry.type = varied(found, paths.front(), type_text);
  entry.otherwise = defaults_text(found, entry, paths);
  entry.only = condition_of(found, paths.front());
  entry.resume = resume_text(entry.paths.front(), entry.type);
  return entry;
}

/// Keys that are asked for, but stand in no entry or in several.
void check_described(const FoundKeys& found, const KeyReference& reference,
                     std::vector<std::string>& faults) {
  std::map<std::string, int> entries;
  for (const ReferenceSection& section : reference.sections) {
    for (const ReferenceEntry& entry : section.entries) {
      for (const std::string& path : entry.paths) {
        ++entries[path];
      }
    }
  }
  for (const auto& [path, question] : found.asked.keys) {
    const int count = entries[shown_path(path)];
    if (count != 1 && path != "tables.NAME") {
      faults.push_back(fmt::format("{}: read, but described {} times", path, count));
    }
  }
}

/// Where the section of a path stands among those of a configuration.
std::size_t place_of_section(const ReferenceSection& section, const KeyTable& sections) {
  const std::string first = section.paths.front().substr(0, section.paths.front().find('.'));
  const auto found = std::find_if(sections.keys.begin(), sections.keys.end(),
                                  [&](const KeyMeaning& key) { return key.key == first; });
  return first.empty() ? 0 : static_cast<std::size_t>(found - sections.keys.begin()) + 1;
}

}  // namespace

KeyReference make_key_reference(const FoundKeys& found) {
  KeyReference reference;
  std::vector<std::vector<std::string>> places;
  for (const auto& [path, described] : found.asked.tables) {
    const KeyTable* table = described;  // lambdas of clang 14 take no parts of a pair
    auto& sections = reference.sections;
    const auto section = std::find_if(sections.begin(), sections.end(),
                                      [&](const auto& other) { return other.table == table; });
    const auto s = static_cast<std::size_t>(section - sections.begin());
    if (section == sections.end()) {
      sections.push_back({table, {}, {}});
      places.emplace_back();
    }
    sections[s].paths.push_back(shown_path(path));
    places[s].push_back(path);
  }
  for (std::size_t s = 0; s < places.size(); ++s) {
    for (const KeyMeaning& key : reference.sections[s].table->keys) {
      reference.sections[s].entries.push_back(make_entry(found, key, places[s], reference.faults));
    }
  }
  check_described(found, reference, reference.faults);
  const KeyTable& root = *reference.sections.front().table;
  std::stable_sort(reference.sections.begin(), reference.sections.end(),
                   [&](const auto& a, const auto& b) {
                     return place_of_section(a, root) < place_of_section(b, root);
                   });
  return reference;
}

}  // namespace keyshard
