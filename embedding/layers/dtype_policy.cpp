#include "embedding/layers/dtype_policy.hpp"

#include <algorithm>

#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

const std::vector<std::string>& dtype_policy_names() {
  static const std::vector<std::string> kNames{"float32", "mixed_float16", "mixed_bfloat16",
                                               "float16", "bfloat16",      "float64"};
  return kNames;
}

ValueDtype value_dtype_of(const std::string& name) {
  const std::vector<std::string>& names = names_of(ValueDtype{});
  const auto found = std::find(names.begin(), names.end(), name);
  require(found != names.end(), Kind::invalid_argument, "expected a dtype of {}: found \"{}\"",
          joined(names, ", "), name);
  return static_cast<ValueDtype>(found - names.begin());
}

DtypePolicy dtype_policy_of(const std::string& layer, const std::string& name,
                            const std::string& value_dtype) {
  if (name.empty()) {
    return {value_dtype, value_dtype, value_dtype};
  }
  const std::vector<std::string>& names = dtype_policy_names();
  // A table of integers has no policy but its own type.
  require(name == value_dtype || std::find(names.begin(), names.end(), name) != names.end(),
          Kind::invalid_argument, "layer {}: expected dtype_policy of {}: found \"{}\"{}", layer,
          joined(names, ", "), name, did_you_mean(name, names));
  const std::string mixed = "mixed_";
  const bool is_mixed = name.compare(0, mixed.size(), mixed) == 0;
  const std::string variable = is_mixed ? "float32" : name;
  require(variable == value_dtype, Kind::invalid_argument,
          "layer {}: dtype_policy {} keeps rows in {}: found value_dtype {}", layer, name, variable,
          value_dtype);
  return {name, variable, is_mixed ? name.substr(mixed.size()) : name};
}

}  // namespace keyshard
