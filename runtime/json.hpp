// JSON to and from a tree of values: manifests and metrics (the one home of nlohmann-json).
#pragma once

#include <string>

#include "runtime/setting_value.hpp"

namespace keyshard {

/// The tree as JSON, keys in their order; numbers come back as they were. NaN and infinities become
/// null. One line, or indented.
std::string json_text(const SettingValue& tree, bool indented = false);

/// Reads JSON; a null becomes std::monostate. Throws Error{corrupt_data} with `place` and the
/// position in the text where the text is no JSON.
SettingValue parse_json(const std::string& text, const std::string& place);

}  // namespace keyshard
