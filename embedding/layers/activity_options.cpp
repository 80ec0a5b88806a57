#include "embedding/layers/activity_options.hpp"

#include <vector>

#include "embedding/layers/option_keys.hpp"

namespace keyshard {

ActivityOptions read_activity(Settings& settings, bool functions) {
  Settings own = settings.table("activity_regularizer");
  own.describe(activity_keys());
  std::vector<std::string> types{"l1", "l2", "l1_l2"};
  if (functions) {
    types.emplace_back("function");
  }
  const std::string type = own.choice("type", "l1_l2", types);
  ActivityOptions activity;
  if (type == "function") {
    activity.function = own.text("function", "");
  } else {
    // Keras' defaults of the two numbers.
    activity.l1 = type == "l2" ? 0 : own.number("l1", 0.01, 0);
    activity.l2 = type == "l1" ? 0 : own.number("l2", 0.01, 0);
  }
  own.finish();
  return activity;
}

SettingValue activity_tree(const ActivityOptions& activity) {
  using Entries = SettingValue::Table;
  if (!activity.function.empty()) {
    return value_of(Entries{{"type", value_of(std::string("function"))},
                            {"function", value_of(activity.function)}});
  }
  return value_of(Entries{{"type", value_of(std::string("l1_l2"))},
                          {"l1", value_of(activity.l1)},
                          {"l2", value_of(activity.l2)}});
}

}  // namespace keyshard
