// Configuration files: TOML into settings that know their line. The one home of toml++.
#pragma once

#include <string>
#include <vector>

#include "runtime/settings.hpp"

namespace keyshard {

/// Reads a file. A syntax error or a key that is given twice throws Error{invalid_argument} alone,
/// with "file:line".
SettingValue read_toml(const std::string& path);

/// Sets "a.b.key=value" in the tree, making tables on the way. The value is TOML, or a plain string
/// where it is not. Throws Error{invalid_argument} where there is no "=" or a part of the path is
/// no table.
void set_value(SettingValue& root, const std::string& assignment);

}  // namespace keyshard
