#include "embedding/rules/optimizers.hpp"

#include <algorithm>

#include "embedding/rules/own_rules.hpp"
#include "embedding/rules/rule_keys.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

const FamilyNames& optimizers() {
  static const FamilyNames kFamily{"an optimizer", names_of_rules<BuiltInOptimizer>()};
  return kFamily;
}

template <class O>
concept HasClock = requires {
  O::kClock;
};

template <class O>
concept NeedsWholeRow = requires {
  O::kWholeRow;
};

}  // namespace

const char* name_of(const Optimizer& optimizer) {
  return visit_variant(optimizer, [](const auto& rule) { return rule_name(rule); });
}

bool needs_whole_row(const Optimizer& optimizer) {
  if (const auto* own = std::get_if<OwnOptimizer>(&optimizer)) {
    return own->functions->whole_row;
  }
  return visit_variant(
      optimizer, [](const auto& rule) { return NeedsWholeRow<std::decay_t<decltype(rule)>>; });
}

double learning_rate_of(const Optimizer& optimizer) {
  return visit_variant(optimizer, [](const auto& rule) -> double {
    if constexpr (requires { rule.learning_rate; }) {
      return rule.learning_rate;
    } else {
      return rule.functions->learning_rate(rule.rule());
    }
  });
}

std::vector<StateColumn> state_columns(const Optimizer& optimizer, std::int64_t dim) {
  std::vector<StateColumn> columns;
  const auto add = [&](const auto& states) {
    for (const StateRule& state : states) {
      columns.push_back({state.name, state.width == StateWidth::one ? 1 : dim, state.initial});
    }
  };
  visit_variant(optimizer, [&](const auto& rule) {
    if constexpr (requires { rule.functions; }) {
      add(rule.functions->states(rule.rule()));
    } else {
      add(rule.states());
    }
  });
  return columns;
}

Optimizer read_optimizer(Settings settings, const Optimizer& otherwise, const OwnRules& own) {
  settings.describe(optimizer_keys());
  Optimizer result = otherwise;
  if (settings.has("type")) {
    if (settings.text("type", "") == "nesterov") {
      settings.problem("type",
                       "expected type = \"momentum\" with nesterov = true: found \"nesterov\"");
      return otherwise;
    }
    const std::optional<std::size_t> index =
        optimizers().with(own_names(own.optimizers)).read(settings, "type", "");
    if (!index) {
      return otherwise;  // The other keys have no meaning then.
    }
    constexpr std::size_t kBuiltIn = std::variant_size_v<BuiltInOptimizer>;
    if (*index >= kBuiltIn) {
      OwnOptimizer rule = own.optimizers[*index - kBuiltIn];
      rule.functions->read(rule.bytes, settings);
      result = rule;
    }
    with_alternative<BuiltInOptimizer>(*index, [&](auto rule) {
      rule.fields(rule, FieldReader(settings));
      result = rule;
    });
  }
  settings.finish();
  return result;
}

Optimizer optimizer_of(const SettingValue& tree, const OwnRules& own) {
  const auto report = std::make_shared<SettingsReport>();
  Settings settings(tree, "optimizer", report);
  optimizers()
      .with(own_names(own.optimizers))
      .at(Settings(tree, "optimizer", report).text("type", ""));
  const Optimizer result = read_optimizer(settings, Sgd{}, own);
  require_no_problems(*report);
  return result;
}

SettingValue optimizer_tree(const Optimizer& optimizer) {
  return visit_variant(optimizer, [](const auto& rule) {
    if constexpr (requires { rule.functions; }) {
      return rule.functions->tree(rule.rule());
    } else {
      return tree_of_rule(rule.kName, rule);
    }
  });
}

OptimizerClock::OptimizerClock(const Optimizer& optimizer) : optimizer_(optimizer) {
  visit_variant(optimizer, [&](const auto& rule) {
    using O = std::decay_t<decltype(rule)>;
    if constexpr (HasClock<O>) {
      numbers_.assign(O::kClock.begin(), O::kClock.end());
    } else if constexpr (std::is_same_v<O, OwnOptimizer>) {
      numbers_ = rule.functions->first_clock();
    }
  });
}

StepScalars OptimizerClock::tick(double learning_rate_scale) {
  StepScalars step;
  step.step = ++step_;
  step.learning_rate_scale = learning_rate_scale;
  visit_variant(optimizer_, [&](const auto& rule) {
    using O = std::decay_t<decltype(rule)>;
    if constexpr (HasClock<O>) {
      auto clock = O::kClock;
      std::copy(numbers_.begin(), numbers_.end(), clock.begin());
      rule.tick(clock, step);
      numbers_.assign(clock.begin(), clock.end());
    } else if constexpr (std::is_same_v<O, OwnOptimizer>) {
      rule.functions->tick(rule.rule(), numbers_.data(), step);
    }
  });
  return step;
}

void OptimizerClock::restore(std::int64_t step, std::vector<double> numbers) {
  require(numbers.size() == numbers_.size(), Kind::invalid_argument,
          "expected a clock of {} numbers: found {}", numbers_.size(), numbers.size());
  step_ = step;
  numbers_ = std::move(numbers);
}

}  // namespace keyshard
