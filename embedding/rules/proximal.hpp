// Optimizers with l1 and l2 of their own, which make numbers exactly 0: FTRL, AdagradDA, and the
// proximal forms of SGD and Adagrad. Their l1 and l2 belong to the formula of the step;
// Regularization stands beside any optimizer.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "embedding/rules/optimizer_rule.hpp"
#include "runtime/portable.hpp"
#include "runtime/portable_math.hpp"

namespace keyshard {

/// x moved towards 0 by `by` >= 0, and 0 where that passes 0.
KEYSHARD_HD inline float towards_zero(float x, float by) {
  return x > by ? x - by : x < -by ? x + by : 0.0f;
}

/// FTRL-proximal with l1, l2, l2_shrinkage and beta. State: accumulator, linear [dim] each. Source:
/// McMahan et al., Ad click prediction, KDD 2013; tf_keras.optimizers.Ftrl.
struct Ftrl {
  static constexpr const char* kName = "ftrl";
  static constexpr int kStates = 2;
  static constexpr Widths kWidths = Widths::usual;
  float learning_rate = 0.001f;
  float learning_rate_power = -0.5f;
  float initial_accumulator = 0.1f;
  float l1 = 0;
  float l2 = 0;
  float l2_shrinkage = 0;
  float beta = 0;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
    field("learning_rate_power", self.learning_rate_power, -10, 0);
    field("initial_accumulator", self.initial_accumulator, 0);
    field("l1", self.l1, 0);
    field("l2", self.l2, 0);
    field("l2_shrinkage", self.l2_shrinkage, 0);
    field("beta", self.beta, 0);
  }

  std::array<StateRule, kStates> states() const {
    return {{{"accumulator", initial_accumulator}, {"linear"}}};
  }

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

/// Adagrad by dual averaging: a += g; h += g^2; w = -lr sign(a) max(|a| - l1 t, 0) / (l2 t lr +
/// sqrt(h)), and 0 where that divides by 0. t counts steps of the optimizer, not of the key. The
/// values before the step, and so the initial ones, do not matter. State: a, h [dim] each. Source:
/// Duchi et al., JMLR 12 (2011); tf.compat.v1.train.AdagradDAOptimizer.
struct AdagradDa {
  static constexpr const char* kName = "adagrad_da";
  static constexpr int kStates = 2;
  static constexpr Widths kWidths = Widths::any;
  float learning_rate = 0.001f;
  float initial_accumulator = 0.1f;
  float l1 = 0;
  float l2 = 0;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
    field("initial_accumulator", self.initial_accumulator, 0);
    field("l1", self.l1, 0);
    field("l2", self.l2, 0);
  }

  std::array<StateRule, kStates> states() const {
    return {{{"gradient_accumulator"}, {"gradient_squared_accumulator", initial_accumulator}}};
  }

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float rate = learning_rate * step.learning_rate_scale;
    const float t = static_cast<float>(step.step);
    float* squares = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const float a = state[d] + g[d];
      const float h = squares[d] + g[d] * g[d];
      state[d] = a;
      squares[d] = h;
      const float divisor = l2 * t * rate + std::sqrt(h);
      w[d] = divisor > 0.0f ? -rate * towards_zero(a, l1 * t) / divisor : 0.0f;
    }
  }
};

/// w = prox(w - lr g), where prox(x) = sign(x) max(|x| - lr l1, 0) / (1 + lr l2). Source:
/// tf.compat.v1.train.ProximalGradientDescentOptimizer.
struct ProximalSgd {
  static constexpr const char* kName = "proximal_sgd";
  static constexpr int kStates = 0;
  static constexpr Widths kWidths = Widths::any;
  float learning_rate = 0.01f;
  float l1 = 0;
  float l2 = 0;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
    field("l1", self.l1, 0);
    field("l2", self.l2, 0);
  }

  std::array<StateRule, kStates> states() const { return {}; }

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w, float* /*state*/,
                          const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float rate = learning_rate * step.learning_rate_scale;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      w[d] = towards_zero(w[d] - rate * g[d], rate * l1) / (1.0f + rate * l2);
    }
  }
};

/// h += g^2; then the step of ProximalSgd with the rate lr / sqrt(h) of each number. A number whose
/// h is 0 stays as it is. State: h [dim]. Source: tf.compat.v1.train.ProximalAdagradOptimizer.
struct ProximalAdagrad {
  static constexpr const char* kName = "proximal_adagrad";
  static constexpr int kStates = 1;
  static constexpr Widths kWidths = Widths::any;
  float learning_rate = 0.001f;
  float initial_accumulator = 0.1f;
  float l1 = 0;
  float l2 = 0;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
    field("initial_accumulator", self.initial_accumulator, 0);
    field("l1", self.l1, 0);
    field("l2", self.l2, 0);
  }

  std::array<StateRule, kStates> states() const { return {{{"accumulator", initial_accumulator}}}; }

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const float h = state[d] + g[d] * g[d];
      state[d] = h;
      if (h > 0.0f) {
        const float rate = learning_rate * step.learning_rate_scale / std::sqrt(h);
        w[d] = towards_zero(w[d] - rate * g[d], rate * l1) / (1.0f + rate * l2);
      }
    }
  }
};

}  // namespace keyshard
