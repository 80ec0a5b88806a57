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
template <class T>
KEYSHARD_HD T towards_zero(T x, T by) {
  return x > by ? x - by : x < -by ? x + by : T{0};
}

/// FTRL-proximal with l1, l2, l2_shrinkage and beta. State: accumulator, linear [dim] each. Source:
/// McMahan et al., Ad click prediction, KDD 2013; tf_keras.optimizers.Ftrl.
struct Ftrl {
  static constexpr const char* kName = "ftrl";
  static constexpr int kStates = 2;
  static constexpr Widths kWidths = Widths::usual;
  double learning_rate = 0.001;
  double learning_rate_power = -0.5;
  double initial_accumulator = 0.1;
  double l1 = 0;
  double l2 = 0;
  double l2_shrinkage = 0;
  double beta = 0;

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

  template <class T>
  KEYSHARD_HD T power(T x) const {
    const T exponent = static_cast<T>(learning_rate_power);
    return exponent == T{-0.5} ? std::sqrt(x)
                               : static_cast<T>(portable_power(static_cast<double>(x),
                                                               -static_cast<double>(exponent)));
  }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T rate = rate_of<T>(learning_rate, step);
    const T first = static_cast<T>(l1), second = static_cast<T>(l2);
    const T shrinkage = static_cast<T>(l2_shrinkage), shift = static_cast<T>(beta);
    T* linear = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const T before = state[d];
      const T after = before + g[d] * g[d];
      const T root = power(after);
      const T z = linear[d] + g[d] + T{2} * shrinkage * w[d] - (root - power(before)) / rate * w[d];
      state[d] = after;
      linear[d] = z;
      const T clipped = z < -first ? -first : z > first ? first : z;
      w[d] = (clipped - z) / (root / rate + T{2} * (second + shift / (T{2} * rate)));
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
  double learning_rate = 0.001;
  double initial_accumulator = 0.1;
  double l1 = 0;
  double l2 = 0;

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

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T rate = rate_of<T>(learning_rate, step);
    const T t = static_cast<T>(step.step);
    const T first = static_cast<T>(l1), second = static_cast<T>(l2);
    T* squares = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const T a = state[d] + g[d];
      const T h = squares[d] + g[d] * g[d];
      state[d] = a;
      squares[d] = h;
      const T divisor = second * t * rate + std::sqrt(h);
      w[d] = divisor > T{0} ? -rate * towards_zero(a, first * t) / divisor : T{0};
    }
  }
};

/// w = prox(w - lr g), where prox(x) = sign(x) max(|x| - lr l1, 0) / (1 + lr l2). Source:
/// tf.compat.v1.train.ProximalGradientDescentOptimizer.
struct ProximalSgd {
  static constexpr const char* kName = "proximal_sgd";
  static constexpr int kStates = 0;
  static constexpr Widths kWidths = Widths::any;
  double learning_rate = 0.01;
  double l1 = 0;
  double l2 = 0;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
    field("l1", self.l1, 0);
    field("l2", self.l2, 0);
  }

  std::array<StateRule, kStates> states() const { return {}; }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* /*state*/,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T rate = rate_of<T>(learning_rate, step);
    const T first = static_cast<T>(l1), second = static_cast<T>(l2);
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      w[d] = towards_zero(w[d] - rate * g[d], rate * first) / (T{1} + rate * second);
    }
  }
};

/// h += g^2; then the step of ProximalSgd with the rate lr / sqrt(h) of each number. A number whose
/// h is 0 stays as it is. State: h [dim]. Source: tf.compat.v1.train.ProximalAdagradOptimizer.
struct ProximalAdagrad {
  static constexpr const char* kName = "proximal_adagrad";
  static constexpr int kStates = 1;
  static constexpr Widths kWidths = Widths::any;
  double learning_rate = 0.001;
  double initial_accumulator = 0.1;
  double l1 = 0;
  double l2 = 0;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
    field("initial_accumulator", self.initial_accumulator, 0);
    field("l1", self.l1, 0);
    field("l2", self.l2, 0);
  }

  std::array<StateRule, kStates> states() const { return {{{"accumulator", initial_accumulator}}}; }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T top = rate_of<T>(learning_rate, step);
    const T first = static_cast<T>(l1), second = static_cast<T>(l2);
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const T h = state[d] + g[d] * g[d];
      state[d] = h;
      if (h > T{0}) {
        const T rate = top / std::sqrt(h);
        w[d] = towards_zero(w[d] - rate * g[d], rate * first) / (T{1} + rate * second);
      }
    }
  }
};

}  // namespace keyshard
