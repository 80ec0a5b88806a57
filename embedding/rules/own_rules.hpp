// The rules that a program brings along: its structs, and the registry by which configurations name
// them. A program makes an OwnRules and gives it to what reads a configuration; there is no
// registry of the process.
//
//   struct Lion {
//     static constexpr const char* kName = "lion";
//     ...
//   };
//   OwnRules rules;
//   rules.optimizers = {own_optimizer(Lion{})};
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "embedding/rules/combiners.hpp"
#include "embedding/rules/family.hpp"
#include "embedding/rules/initializers.hpp"
#include "embedding/rules/optimizers.hpp"
#include "embedding/rules/own_combiner.hpp"
#include "embedding/rules/own_initializer.hpp"
#include "embedding/rules/own_optimizer.hpp"
#include "embedding/rules/own_partitioner.hpp"
#include "embedding/rules/own_policy.hpp"
#include "embedding/rules/partitioners.hpp"
#include "embedding/rules/policies.hpp"
#include "runtime/error.hpp"

namespace keyshard {

struct OwnStore;

/// The registry of a program: rules whose structs have a kName, which no other rule of the family
/// has. The fields of a registered rule are the defaults of a configuration.
struct OwnRules {
  std::vector<OwnOptimizer> optimizers = {};
  std::vector<OwnInitializer> initializers = {};
  std::vector<OwnCombiner> combiners = {};
  std::vector<OwnPartitioner> partitioners = {};
  std::vector<OwnPolicy> policies = {};
  /// Where rows may live: the `store` of an own_store (stores/own_store.hpp).
  std::vector<std::shared_ptr<const OwnStore>> stores = {};
};

/// Reads the fields of a rule, where its struct has some.
template <class Rule>
void read_own_fields(void* rule, [[maybe_unused]] Settings& settings) {
  if constexpr (requires(Rule & self) { Rule::fields(self, FieldReader(settings)); }) {
    Rule::fields(*static_cast<Rule*>(rule), FieldReader(settings));
  }
}

/// The table {type = NAME, fields...} of a rule.
template <class Rule>
SettingValue own_tree(const void* rule) {
  SettingValue::Table table{{"type", value_of(std::string(own_name<Rule>()))}};
  if constexpr (requires(const Rule& self) { Rule::fields(self, FieldWriter(table)); }) {
    Rule::fields(rule_as<Rule>(rule), FieldWriter(table));
  }
  return value_of(std::move(table));
}

template <class Rule, class T>
void update_own(const void* rule, T* w, T* state, const T* g, std::int64_t dim,
                const StepScalars& step) {
  if constexpr (requires { requires Rule::kWidths == Widths::usual; }) {
    with_width(dim, [&](auto n) { rule_as<Rule>(rule).update(Solo{}, w, state, g, n, step); });
  } else {
    rule_as<Rule>(rule).update(Solo{}, w, state, g, dim, step);
  }
}

/// Whether the struct of an optimizer steps rows of doubles.
template <class Rule>
concept StepsDoubles = requires(const Rule& rule, double* w, const double* g, std::int64_t dim,
                                const StepScalars& step) {
  rule.update(Solo{}, w, w, g, dim, step);
};

/// update_own of doubles; null where the struct steps rows of floats alone.
template <class Rule>
constexpr auto own_double_update() {
  decltype(OptimizerFunctions::update_doubles) update = nullptr;
  if constexpr (StepsDoubles<Rule>) {
    update = update_own<Rule, double>;
  }
  return update;
}

template <class Rule>
double own_learning_rate(const void* rule) {
  if constexpr (requires(const Rule& self) { self.learning_rate; }) {
    return static_cast<double>(rule_as<Rule>(rule).learning_rate);
  } else {
    return 1;
  }
}

template <class Rule>
std::vector<StateRule> own_states(const void* rule) {
  const auto states = rule_as<Rule>(rule).states();
  return {states.begin(), states.end()};
}

template <class Rule>
std::vector<double> own_first_clock() {
  if constexpr (requires { Rule::kClock; }) {
    return {Rule::kClock.begin(), Rule::kClock.end()};
  } else {
    return {};
  }
}

template <class Rule>
void tick_own(const void* rule, double* numbers, StepScalars& step) {
  if constexpr (requires { Rule::kClock; }) {
    auto clock = Rule::kClock;
    std::copy(numbers, numbers + clock.size(), clock.begin());
    rule_as<Rule>(rule).tick(clock, step);
    std::copy(clock.begin(), clock.end(), numbers);
  }
}

/// The optimizer of a struct, with the values that the fields of `rule` have.
template <class Rule>
OwnOptimizer own_optimizer(const Rule& rule) {
  static_assert(Rule::kStates <= OwnOptimizer::kStates, "an optimizer has at most 8 states");
  constexpr bool kWholeRow = requires { Rule::kWholeRow; };
  static constexpr OptimizerFunctions kFunctions{.name = own_name<Rule>(),
                                                 .whole_row = kWholeRow,
                                                 .update = update_own<Rule, float>,
                                                 .update_doubles = own_double_update<Rule>(),
                                                 .learning_rate = own_learning_rate<Rule>,
                                                 .states = own_states<Rule>,
                                                 .first_clock = own_first_clock<Rule>,
                                                 .tick = tick_own<Rule>,
                                                 .read = read_own_fields<Rule>,
                                                 .tree = own_tree<Rule>};
  return make_own<OwnOptimizer>(rule, kFunctions);
}

template <class Rule, class T>
void fill_own(const void* rule, std::uint64_t seed, Key key, std::int64_t dim, T* row) {
  if constexpr (requires(const Rule& self) { self.fill(seed, key, dim, row); }) {
    rule_as<Rule>(rule).fill(seed, key, dim, row);
  } else {
    initial_numbers<T>(Solo{}, rule_as<Rule>(rule), seed, key, dim,
                       [row](std::int64_t k, auto value) { row[k] = static_cast<T>(value); });
  }
}

/// fill_own of doubles; null where the struct fills rows of floats alone.
template <class Rule>
constexpr auto own_double_fill() {
  decltype(InitializerFunctions::fill_doubles) fill = nullptr;
  constexpr bool kFloats = requires(const Rule& rule, float* row) {
    rule.fill(std::uint64_t{}, Key{}, std::int64_t{}, row);
  };
  constexpr bool kDoubles = requires(const Rule& rule, double* row) {
    rule.fill(std::uint64_t{}, Key{}, std::int64_t{}, row);
  };
  if constexpr (kDoubles || !kFloats) {
    fill = fill_own<Rule, double>;
  }
  return fill;
}

/// The initializer of a struct.
template <class Rule>
OwnInitializer own_initializer(const Rule& rule) {
  static constexpr InitializerFunctions kFunctions{own_name<Rule>(), fill_own<Rule, float>,
                                                   own_double_fill<Rule>(), read_own_fields<Rule>,
                                                   own_tree<Rule>};
  return make_own<OwnInitializer>(rule, kFunctions);
}

template <class Rule, class T>
void forward_own(const void* rule, const BagRowsOf<T>& rows, T* out) {
  rule_as<Rule>(rule).forward(rows, out);
}

template <class Rule, class T>
void backward_own(const void* rule, const BagRowsOf<T>& rows, const T* gradient,
                  const BagGradientsOf<T>& gradients) {
  rule_as<Rule>(rule).backward(rows, gradient, gradients);
}

/// Whether the struct of a combiner pools rows of doubles.
template <class Rule>
concept PoolsDoubles = requires(const Rule& rule, const BagRowsOf<double>& rows, double* out,
                                const double* gradient, const BagGradientsOf<double>& gradients) {
  rule.forward(rows, out);
  rule.backward(rows, gradient, gradients);
};

template <class Rule>
constexpr CombinerFunctions own_combiner_functions() {
  CombinerFunctions functions{own_name<Rule>(), forward_own<Rule, float>,
                              backward_own<Rule, float>};
  if constexpr (PoolsDoubles<Rule>) {
    functions.forward_doubles = forward_own<Rule, double>;
    functions.backward_doubles = backward_own<Rule, double>;
  }
  return functions;
}

/// The combiner of a struct.
template <class Rule>
OwnCombiner own_combiner(const Rule& rule) {
  static constexpr CombinerFunctions kFunctions = own_combiner_functions<Rule>();
  return make_own<OwnCombiner>(rule, kFunctions);
}

template <class Rule>
std::uint32_t shard_own(const void* rule, Key key) {
  const auto shard = static_cast<std::int64_t>(rule_as<Rule>(rule).shard(key));
  require(shard >= 0 && shard < kShards, Kind::invalid_argument,
          "expected a partitioner that maps every key to a shard from 0 to {}: found shard {} for "
          "key {} by {}",
          kShards - 1, shard, static_cast<std::int64_t>(key),
          *own_name<Rule>() == '\0' ? "an unregistered one" : own_name<Rule>());
  return static_cast<std::uint32_t>(shard);
}

/// The partitioner of a struct.
template <class Rule>
OwnPartitioner own_partitioner(const Rule& rule) {
  static constexpr PartitionerFunctions kFunctions{own_name<Rule>(), shard_own<Rule>};
  return make_own<OwnPartitioner>(rule, kFunctions);
}

template <class Rule>
std::uint32_t birth_own(const void* rule, std::uint32_t now) {
  return rule_as<Rule>(rule).birth(now);
}

template <class Rule>
std::uint32_t touched_own(const void* rule, std::uint32_t status, std::uint32_t now) {
  return rule_as<Rule>(rule).touched(status, now);
}

/// The restrict policy of a struct.
template <class Rule>
OwnPolicy own_policy(const Rule& rule) {
  static constexpr PolicyFunctions kFunctions{own_name<Rule>(), birth_own<Rule>, touched_own<Rule>};
  return make_own<OwnPolicy>(rule, kFunctions);
}

}  // namespace keyshard
