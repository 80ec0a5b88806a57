// JSON to and from a tree of values: manifests and metrics (the one home of nlohmann-json).
#pragma once

#include <cstdint>
#include <string>

#include "runtime/setting_value.hpp"

namespace keyshard {

/// The tree as JSON, keys in their order; numbers come back as they were. NaN and infinities become
/// null. One line, or indented.
std::string json_text(const SettingValue& tree, bool indented = false);

/// Reads JSON; a null becomes std::monostate. Throws Error{corrupt_data} with `place` and the
/// position in the text where the text is no JSON, has a member of an object twice, or has more
/// than 100 values inside one another.
SettingValue parse_json(const std::string& text, const std::string& place);

/// The same; the values have no place, and more than `most_values` are refused: each costs 72
/// bytes, for two letters of text at least.
SettingValue parse_json_without_places(const std::string& text, const std::string& place,
                                       std::int64_t most_values);

}  // namespace keyshard
