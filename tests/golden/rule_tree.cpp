#include "tests/golden/rule_tree.hpp"

#include <map>

namespace keyshard::testing {

SettingValue setting_of(const GoldenValue& value) {
  if (value.is_text()) {
    return {value.text(), ""};
  }
  return value.is_flag() ? SettingValue{value.flag(), ""} : SettingValue{value.number(), ""};
}

SettingValue rule_tree(const std::string& type, const SettingValue::Table& keys) {
  static const std::map<std::string, std::string> kNames{{"lr", "learning_rate"},
                                                         {"lr_power", "learning_rate_power"},
                                                         {"minval", "low"},
                                                         {"maxval", "high"}};
  SettingValue::Table tree{{"type", {type, ""}}};
  for (const auto& [key, value] : keys) {
    const auto name = kNames.find(key);
    tree.emplace_back(name == kNames.end() ? key : name->second, value);
  }
  return {std::move(tree), ""};
}

}  // namespace keyshard::testing
