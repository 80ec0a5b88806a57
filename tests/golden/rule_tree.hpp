// The rules of golden cases in the form of a configuration: a table of type and keys. The library
// reads these tables like any configuration, so the runner itself contains no rules.
#pragma once

#include <string>

#include "runtime/settings.hpp"
#include "tests/support/golden_file.hpp"

namespace keyshard::testing {

/// A flag, a text or a number as a value of a configuration.
SettingValue setting_of(const GoldenValue& value);

/// {type = TYPE, keys...}; keys that golden files name differently get their names in a
/// configuration.
SettingValue rule_tree(const std::string& type, const SettingValue::Table& keys);

}  // namespace keyshard::testing
