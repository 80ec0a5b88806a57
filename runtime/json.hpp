// JSON to and from a tree of values: manifests and metrics (the one home of nlohmann-json).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/setting_value.hpp"

namespace keyshard {

/// The tree as JSON, keys in their order; numbers come back as they were. NaN and infinities become
/// null. One line, or indented.
std::string json_text(const SettingValue& tree, bool indented = false);

/// Reads JSON; a null becomes std::monostate. Throws Error{corrupt_data} with `place` and the
/// position in the text where the text is no JSON, has a member of an object twice, or has more
/// than 100 values inside one another.
SettingValue parse_json(const std::string& text, const std::string& place);

/// How a long text is read in little memory: the entries of some lists are taken one by one.
struct JsonParts {
  /// Members of the root, each a list whose entries are taken; the tree has them without entries.
  std::vector<std::string> lists;
  /// Takes an entry of a list as soon as the entry ends, and returns how many values the taker
  /// keeps of it. `root` has the members in front of the list, and last the list.
  std::function<std::int64_t(const SettingValue& root, const SettingValue& entry)> take;
  /// The most values at once: those of the tree, of the entry that is being read, and those that
  /// were kept. Each costs 72 to 104 bytes, for two letters of text at least.
  std::int64_t most_values = 0;
};

/// Reads JSON as parse_json does; the values have no place. Refuses more than `most_values`.
SettingValue parse_json_in_parts(const std::string& text, const std::string& place,
                                 const JsonParts& parts);

}  // namespace keyshard
