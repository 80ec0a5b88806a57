#include "embedding/layers/layer.hpp"

#include <algorithm>
#include <cmath>

#include "embedding/layers/devices.hpp"
#include "embedding/layers/dtype_policy.hpp"
#include "embedding/layers/key_dtype.hpp"
#include "embedding/rules/own_rules.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/settings.hpp"

namespace keyshard {
namespace {

using Names = std::vector<std::string>;

/// Throws unless `value` is one of the names.
void require_name(const LayerOptions& options, const char* option, const std::string& value,
                  const Names& names) {
  require(std::find(names.begin(), names.end(), value) != names.end(), Kind::invalid_argument,
          "layer {}: expected {} of {}: found \"{}\"{}", options.name, option, joined(names, ", "),
          value, did_you_mean(value, names));
}

void check_dtypes(const LayerOptions& options) {
  require_name(options, "key_dtype", options.key_dtype, key_dtype_names());
  require(!options.padding_id || holds_key(options.key_dtype, *options.padding_id),
          Kind::invalid_argument, "layer {}: expected a padding_id of key_dtype {}: found {}",
          options.name, options.key_dtype,
          static_cast<std::int64_t>(options.padding_id.value_or(0)));
  require_name(options, "value_dtype", options.value_dtype, names_of(ValueDtype{}));
  dtype_policy_of(options.name, options.dtype_policy, options.value_dtype);
  const ValueDtype dtype = value_dtype_of(options.value_dtype);
  require(!options.trainable || !is_integer(dtype), Kind::invalid_argument,
          "layer {}: rows of integers need trainable = false: found value_dtype {}", options.name,
          options.value_dtype);
  require(!options.max_norm || !is_integer(dtype), Kind::invalid_argument,
          "layer {}: expected no max_norm of rows of integers: found {} and value_dtype {}",
          options.name, options.max_norm.value_or(0), options.value_dtype);
}

void check_numbers(const LayerOptions& options) {
  require(options.embedding_size >= 1, Kind::invalid_argument,
          "layer {}: expected embedding_size >= 1: found {}", options.name, options.embedding_size);
  require(options.init_capacity >= 0, Kind::invalid_argument,
          "layer {}: expected init_capacity >= 0: found {}", options.name, options.init_capacity);
  require(!options.max_norm || (*options.max_norm > 0 && std::isfinite(*options.max_norm)),
          Kind::invalid_argument, "layer {}: expected a finite max_norm > 0: found {}",
          options.name, options.max_norm.value_or(0));
  const ActivityOptions activity = options.activity_regularizer.value_or(ActivityOptions{});
  require(activity.l1 >= 0 && activity.l2 >= 0, Kind::invalid_argument,
          "layer {}: expected an activity_regularizer with l1 >= 0 and l2 >= 0: found {} and {}",
          options.name, activity.l1, activity.l2);
}

}  // namespace

RestrictPolicy restrict_policy_of(const LayerOptions& options) {
  const RuleChoice<OwnPolicy>& choice = options.restrict_policy;
  if (choice.own) {
    return *choice.own;
  }
  return choice.empty() ? RestrictPolicy{} : policy_of(choice.name);
}

AnyCombiner layer_combiner(const LayerOptions& options) {
  if (options.combiner.own) {
    return *options.combiner.own;
  }
  return combiner_of(options.combiner.name);
}

LayerOptions with_rules(const LayerOptions& options, const OwnRules& own) {
  LayerOptions result = options;
  if (!options.combiner.own) {
    const AnyCombiner combiner = any_combiner_of(options.combiner.name, own);
    result.combiner = options.combiner.or_own(combiner);
  }
  if (!options.partitioner.own) {
    result.partitioner = partitioner_choice(options.partitioner.name, own);
  }
  if (!options.restrict_policy.empty() && !options.restrict_policy.own) {
    const RestrictPolicy policy = policy_of(options.restrict_policy.name, own);
    result.restrict_policy = options.restrict_policy.or_own(policy);
  }
  return result;
}

void check(const LayerOptions& options) {
  require(
      !options.name.empty() && options.name.find('/') == std::string::npos, Kind::invalid_argument,
      "expected a name of a layer that is not empty and has no \"/\": found \"{}\"", options.name);
  check_numbers(options);
  layer_combiner(options);
  check_dtypes(options);
  require_name(options, "empty_bag", options.empty_bag, {"zeros", "tf"});
  require(options.empty_bag == "zeros" || !options.combiner.own, Kind::invalid_argument,
          "layer {}: expected empty_bag \"zeros\" with a combiner of the program, which TensorFlow "
          "does not know: found \"{}\"",
          options.name, options.empty_bag);
  check_device_names(options.name, options.devices);
  require(options.distribute_strategy.empty(), Kind::invalid_argument,
          "layer {}: expected no distribute_strategy, for the ranks of a layer are the processes "
          "that mpirun starts (mpirun -n RANKS ...): found \"{}\"",
          options.name, options.distribute_strategy);
  restrict_policy_of(options);
  check(options.kv_creator, "layer " + options.name);
}

}  // namespace keyshard
