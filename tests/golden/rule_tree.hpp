// The rules of golden cases as a configuration says them: a table of type and keys. The library
// reads these as it reads any configuration, so the runner knows no rule by itself.
#pragma once

#include <string>

#include "runtime/settings.hpp"
#include "tests/support/golden_file.hpp"

namespace keyshard::testing {

/// A flag, a text or a number as a value of a configuration.
SettingValue setting_of(const GoldenValue& value);

/// {type = TYPE, keys...}, where keys with another name in golden files get that of a
/// configuration.
SettingValue rule_tree(const std::string& type, const SettingValue::Table& keys);

}  // namespace keyshard::testing
