// Configuration files: TOML read into values that carry their line. The one home of toml++.
#pragma once

#include <string>
#include <vector>

#include "runtime/settings.hpp"

namespace keyshard {

/// Reads a file. A syntax error or a key that is given twice throws Error{invalid_argument} with
/// "file:line"; no other problem of the file is then reported.
SettingValue read_toml(const std::string& path);

/// Sets "a.b.key=value" in the tree and makes the tables a and a.b where they are missing. The
/// value is read as TOML, or as a plain string where it is no TOML; \t alone is a tab. Throws
/// Error{invalid_argument} where there is no "=" or a part of the path is no table.
void set_value(SettingValue& root, const std::string& assignment);

}  // namespace keyshard
