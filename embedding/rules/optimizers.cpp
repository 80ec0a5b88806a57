#include "embedding/rules/optimizers.hpp"

namespace keyshard {

float learning_rate_of(const Optimizer& optimizer) {
  return std::visit([](const auto& rule) { return rule.learning_rate; }, optimizer);
}

std::vector<StateColumn> state_columns(const Optimizer& optimizer, std::int64_t dim) {
  struct Columns {
    std::int64_t dim;

    std::vector<StateColumn> operator()(const Sgd&) const { return {}; }

    std::vector<StateColumn> operator()(const Momentum&) const { return {{"m", dim, 0}}; }

    std::vector<StateColumn> operator()(const Adagrad& a) const {
      return {{"accumulator", dim, a.initial_accumulator}};
    }

    std::vector<StateColumn> operator()(const RowwiseAdagrad& a) const {
      return {{"row_accumulator", 1, a.initial_accumulator}};
    }

    std::vector<StateColumn> operator()(const Adam&) const {
      return {{"m", dim, 0}, {"v", dim, 0}};
    }

    std::vector<StateColumn> operator()(const Ftrl& f) const {
      return {{"accumulator", dim, f.initial_accumulator}, {"linear", dim, 0}};
    }
  };

  return std::visit(Columns{dim}, optimizer);
}

OptimizerClock::OptimizerClock(const Optimizer& optimizer) {
  if (const auto* adam = std::get_if<Adam>(&optimizer)) {
    beta_1_ = adam->beta_1;
    beta_2_ = adam->beta_2;
  }
}

StepScalars OptimizerClock::tick(float learning_rate_scale) {
  ++step_;
  power_1_ *= beta_1_;
  power_2_ *= beta_2_;
  StepScalars scalars;
  scalars.step = step_;
  scalars.learning_rate_scale = learning_rate_scale;
  if (beta_1_ > 0 || beta_2_ > 0) {
    scalars.bias_correction = static_cast<float>(portable_sqrt(1.0 - power_2_) / (1.0 - power_1_));
  }
  return scalars;
}

void OptimizerClock::restore(std::int64_t step, double power_1, double power_2) {
  step_ = step;
  power_1_ = power_1;
  power_2_ = power_2;
}

}  // namespace keyshard
