// The optimizers of rows: small structs whose `update` makes one step of one row, on the row's
// values and its state. Lazy: only the rows of a step are touched. Formulas and defaults are
// TensorFlow's (tf_keras), row-wise Adagrad is FBGEMM's. A dense parameter vector is updated as one
// long row.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "runtime/portable_math.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// What a step gives to every row: the number of the step (from 1), and powers of the decay rates
/// as carried products.
struct StepScalars {
  std::int64_t step = 1;
  float learning_rate_scale = 1;  ///< factor of the schedule
  float bias_correction = 1;      ///< Adam: sqrt(1 - beta_2^t) / (1 - beta_1^t), taken in double
};

/// Shrinking of rows, beside the optimizer's own options.
struct Regularization {
  float l2 = 0;  ///< added to the gradient as lambda w, once per step and touched key
  bool l2_per_occurrence =
      false;  ///< as lambda (occurrences / valid samples of the batch) w instead
  float weight_decay =
      0;  ///< w -= learning rate * weight_decay * w, before the step, once per step and touched key
};

/// w -= lr g
struct Sgd {
  static constexpr int kStates = 0;
  float learning_rate = 0.01f;

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w, float* /*state*/,
                          const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float rate = learning_rate * step.learning_rate_scale;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      w[d] = w[d] - rate * g[d];
    }
  }
};

/// m = momentum m - lr g; w += m, or with nesterov w += momentum m - lr g. State: m [dim].
struct Momentum {
  static constexpr int kStates = 1;
  float learning_rate = 0.01f;
  float momentum = 0.9f;
  bool nesterov = false;

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float rate = learning_rate * step.learning_rate_scale;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const float m = momentum * state[d] - rate * g[d];
      state[d] = m;
      w[d] = w[d] + (nesterov ? momentum * m - rate * g[d] : m);
    }
  }
};

/// h += g^2; w -= lr g / sqrt(h + epsilon), or with epsilon beside the root lr g / (sqrt(h) +
/// epsilon). State: h [dim].
struct Adagrad {
  static constexpr int kStates = 1;
  float learning_rate = 0.001f;
  float initial_accumulator = 0.1f;
  float epsilon = 1e-7f;
  bool epsilon_outside = false;

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float rate = learning_rate * step.learning_rate_scale;
    if (epsilon_outside) {
      for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
        const float h = state[d] + g[d] * g[d];
        state[d] = h;
        w[d] = w[d] - rate * g[d] / (std::sqrt(h) + epsilon);
      }
      return;
    }
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const float h = state[d] + g[d] * g[d];
      state[d] = h;
      w[d] = w[d] - rate * g[d] / std::sqrt(h + epsilon);
    }
  }
};

/// One number of state a row: h += mean(g^2); w -= lr / (sqrt(h) + epsilon) g. FBGEMM's
/// EXACT_ROWWISE_ADAGRAD.
struct RowwiseAdagrad {
  static constexpr int kStates = 1;
  float learning_rate = 0.01f;
  float initial_accumulator = 0;
  float epsilon = 1e-8f;

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float sum = strided_sum<float>(team, dim, [&](std::int64_t d) { return g[d] * g[d]; });
    const float h = state[0] + sum / static_cast<float>(dim);
    team.sync();
    if (team.thread_rank() == 0) {
      state[0] = h;
    }
    const float factor = learning_rate * step.learning_rate_scale / (std::sqrt(h) + epsilon);
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      w[d] = w[d] - factor * g[d];
    }
  }
};

/// m += (1 - beta_1) (g - m); v += (1 - beta_2) (g^2 - v); w -= lr sqrt(1 - beta_2^t) / (1 -
/// beta_1^t) m / (sqrt(v) + epsilon). t counts steps of the optimizer, not of the key. State: m, v
/// [dim] each.
struct Adam {
  static constexpr int kStates = 2;
  float learning_rate = 0.001f;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  float epsilon = 1e-7f;

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float alpha = learning_rate * step.learning_rate_scale * step.bias_correction;
    const float take_1 = static_cast<float>(1.0 - beta_1);
    const float take_2 = static_cast<float>(1.0 - beta_2);
    float* second = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const float m = state[d] + take_1 * (g[d] - state[d]);
      const float v = second[d] + take_2 * (g[d] * g[d] - second[d]);
      state[d] = m;
      second[d] = v;
      w[d] = w[d] - alpha * m / (std::sqrt(v) + epsilon);
    }
  }
};

/// FTRL-proximal with L1, L2, shrinkage and beta. State: accumulator, linear [dim] each.
/// Source: McMahan et al., Ad click prediction, KDD 2013; tf_keras.optimizers.Ftrl.
struct Ftrl {
  static constexpr int kStates = 2;
  float learning_rate = 0.001f;
  float learning_rate_power = -0.5f;
  float initial_accumulator = 0.1f;
  float l1 = 0;
  float l2 = 0;
  float l2_shrinkage = 0;
  float beta = 0;

  KEYSHARD_HD float power(float x) const {
    return learning_rate_power == -0.5f
               ? std::sqrt(x)
               : static_cast<float>(portable_power(x, -static_cast<double>(learning_rate_power)));
  }

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float rate = learning_rate * step.learning_rate_scale;
    float* linear = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const float before = state[d];
      const float after = before + g[d] * g[d];
      const float root = power(after);
      const float z =
          linear[d] + g[d] + 2.0f * l2_shrinkage * w[d] - (root - power(before)) / rate * w[d];
      state[d] = after;
      linear[d] = z;
      const float clipped = z < -l1 ? -l1 : z > l1 ? l1 : z;
      w[d] = (clipped - z) / (root / rate + 2.0f * (l2 + beta / (2.0f * rate)));
    }
  }
};

using Optimizer = std::variant<Sgd, Momentum, Adagrad, RowwiseAdagrad, Adam, Ftrl>;

/// One state of an optimizer: [width] numbers a row, `initial` before the first step.
struct StateColumn {
  std::string name;
  std::int64_t width = 0;
  float initial = 0;
};

/// The configured learning rate, before any schedule.
float learning_rate_of(const Optimizer& optimizer);

/// The states of an optimizer for rows of `dim` numbers, in the order in which they lie.
std::vector<StateColumn> state_columns(const Optimizer& optimizer, std::int64_t dim);

/// The clock of one optimizer: counts its steps and carries the powers of its decay rates as
/// products, never by pow.
class OptimizerClock {
 public:
  explicit OptimizerClock(const Optimizer& optimizer);

  /// Goes on by one step and returns what the rows of that step need.
  StepScalars tick(float learning_rate_scale);

  std::int64_t step() const noexcept { return step_; }

  double power_1() const noexcept { return power_1_; }

  double power_2() const noexcept { return power_2_; }

  /// Takes up the clock of a checkpoint.
  void restore(std::int64_t step, double power_1, double power_2);

 private:
  std::int64_t step_ = 0;
  double beta_1_ = 0;
  double beta_2_ = 0;
  double power_1_ = 1;
  double power_2_ = 1;
};

}  // namespace keyshard
