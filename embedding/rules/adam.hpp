// Adam and its kin: optimizers with a first and a second moment of the gradient; the number of the
// step corrects the bias of both. LAMB is in lamb.hpp.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "embedding/rules/optimizer_rule.hpp"
#include "runtime/portable_math.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// The keys that Adam and its kin share.
template <class Self, class Field>
void adam_fields(Self& self, const Field& field) {
  field("learning_rate", self.learning_rate, 0);
  field("beta_1", self.beta_1, 0, 1);
  field("beta_2", self.beta_2, 0, 1);
  field("epsilon", self.epsilon, 0);
}

/// beta_1^t, beta_2^t.
using BetaPowers = std::array<double, 2>;

/// Advances the powers by a step.
inline void advance(BetaPowers& clock, double beta_1, double beta_2) {
  clock[0] *= beta_1;
  clock[1] *= beta_2;
}

/// sqrt(1 - beta_2^t) / (1 - beta_1^t)
inline double adam_factor(const BetaPowers& clock) {
  return portable_sqrt(1.0 - clock[1]) / (1.0 - clock[0]);
}

/// The means of gradients and of their squares, of one number of a row.
template <class T>
struct Moments {
  T take_1;
  T take_2;

  KEYSHARD_HD Moments(double beta_1, double beta_2)
      : take_1(static_cast<T>(1.0 - beta_1)), take_2(static_cast<T>(1.0 - beta_2)) {}

  KEYSHARD_HD T first(T m, T g) const { return m + take_1 * (g - m); }

  KEYSHARD_HD T second(T v, T g) const { return v + take_2 * (g * g - v); }
};

/// m += (1 - beta_1) (g - m); v += (1 - beta_2) (g^2 - v); w -= lr sqrt(1 - beta_2^t) / (1 -
/// beta_1^t) m / (sqrt(v) + epsilon). t counts steps of the optimizer, not of the key. State: m, v
/// [dim] each.
struct Adam {
  static constexpr const char* kName = "adam";
  static constexpr int kStates = 2;
  static constexpr Widths kWidths = Widths::usual;
  double learning_rate = 0.001;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field.elsewhere("amsgrad", "type = \"amsgrad\"");
    adam_fields(self, field);
  }

  std::array<StateRule, kStates> states() const { return {{{"m"}, {"v"}}}; }

  static constexpr BetaPowers kClock{1, 1};

  void tick(BetaPowers& clock, StepScalars& step) const {
    advance(clock, beta_1, beta_2);
    step.factors[0] = adam_factor(clock);
  }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T alpha = rate_of<T>(learning_rate, step) * static_cast<T>(step.factors[0]);
    const Moments<T> moments(beta_1, beta_2);
    const T tiny = static_cast<T>(epsilon);
    T* second = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const T m = moments.first(state[d], g[d]);
      const T v = moments.second(second[d], g[d]);
      state[d] = m;
      second[d] = v;
      w[d] = w[d] - alpha * m / (std::sqrt(v) + tiny);
    }
  }
};

/// The larger of the second moments so far takes the place of the second moment: x = max(x, v); w
/// -= lr sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(x) + epsilon); m, v and t as in Adam. State:
/// m, v, x [dim] each. Source: tf_keras.optimizers.Adam(amsgrad=True).
struct AmsGrad {
  static constexpr const char* kName = "amsgrad";
  static constexpr int kStates = 3;
  static constexpr Widths kWidths = Widths::any;
  double learning_rate = 0.001;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    adam_fields(self, field);
  }

  std::array<StateRule, kStates> states() const { return {{{"m"}, {"v"}, {"vhat"}}}; }

  static constexpr BetaPowers kClock{1, 1};

  void tick(BetaPowers& clock, StepScalars& step) const {
    advance(clock, beta_1, beta_2);
    step.factors[0] = adam_factor(clock);
  }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T alpha = rate_of<T>(learning_rate, step) * static_cast<T>(step.factors[0]);
    const Moments<T> moments(beta_1, beta_2);
    const T tiny = static_cast<T>(epsilon);
    T* second = state + dim;
    T* largest = second + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const T m = moments.first(state[d], g[d]);
      const T v = moments.second(second[d], g[d]);
      const T x = v > largest[d] ? v : largest[d];
      state[d] = m;
      second[d] = v;
      largest[d] = x;
      w[d] = w[d] - alpha * m / (std::sqrt(x) + tiny);
    }
  }
};

/// w -= lr weight_decay w, then the step of Adam: the same bits as Adam with that weight_decay in
/// its Regularization. State as in Adam. Source: tf_keras.optimizers.AdamW.
struct AdamW {
  static constexpr const char* kName = "adamw";
  static constexpr int kStates = 2;
  static constexpr Widths kWidths = Widths::usual;
  double learning_rate = 0.001;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
  double weight_decay = 0.004;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    adam_fields(self, field);
    field("weight_decay", self.weight_decay, 0);
  }

  KEYSHARD_HD Adam adam() const { return {learning_rate, beta_1, beta_2, epsilon}; }

  std::array<StateRule, kStates> states() const { return adam().states(); }

  static constexpr BetaPowers kClock = Adam::kClock;

  void tick(BetaPowers& clock, StepScalars& step) const { adam().tick(clock, step); }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T decay = rate_of<T>(learning_rate, step) * static_cast<T>(weight_decay);
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      w[d] = w[d] - decay * w[d];
    }
    adam().update(team, w, state, g, dim, step);
  }
};

/// m as in Adam; u = max(beta_2 u, |g|); w -= lr / (1 - beta_1^t) m / (u + epsilon). t as in Adam.
/// State: m, u [dim] each. Source: tf_keras.optimizers.Adamax.
struct Adamax {
  static constexpr const char* kName = "adamax";
  static constexpr int kStates = 2;
  static constexpr Widths kWidths = Widths::any;
  double learning_rate = 0.001;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    adam_fields(self, field);
  }

  std::array<StateRule, kStates> states() const { return {{{"m"}, {"u"}}}; }

  static constexpr std::array<double, 1> kClock{1};  ///< beta_1^t

  void tick(std::array<double, 1>& clock, StepScalars& step) const {
    clock[0] *= beta_1;
    step.factors[0] = 1.0 / (1.0 - clock[0]);
  }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T alpha = rate_of<T>(learning_rate, step) * static_cast<T>(step.factors[0]);
    const T keep = static_cast<T>(beta_2);
    const Moments<T> moments(beta_1, beta_2);
    const T tiny = static_cast<T>(epsilon);
    T* largest = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const T m = moments.first(state[d], g[d]);
      const T kept = keep * largest[d];
      const T size = std::abs(g[d]);
      const T u = kept > size ? kept : size;
      state[d] = m;
      largest[d] = u;
      w[d] = w[d] - alpha * m / (u + tiny);
    }
  }
};

/// Adam with Nesterov's momentum on a schedule: u_t = beta_1 (1 - 0.96^t / 2), p_t = u_1 ... u_t; m
/// and v as in Adam; w -= lr (u_{t+1} / (1 - p_{t+1}) m + (1 - u_t) / (1 - p_t) g) / (sqrt(v / (1 -
/// beta_2^t)) + epsilon). t as in Adam. State: m, v [dim] each.
struct Nadam {
  static constexpr const char* kName = "nadam";
  static constexpr int kStates = 2;
  static constexpr Widths kWidths = Widths::usual;
  double learning_rate = 0.001;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    adam_fields(self, field);
  }

  std::array<StateRule, kStates> states() const { return {{{"m"}, {"v"}}}; }

  static constexpr std::array<double, 3> kClock{1, 1, 1};  ///< 0.96^t, p_t, beta_2^t

  void tick(std::array<double, 3>& clock, StepScalars& step) const {
    clock[0] *= 0.96;
    const double now = beta_1 * (1.0 - 0.5 * clock[0]);
    const double next = beta_1 * (1.0 - 0.5 * (0.96 * clock[0]));
    clock[1] *= now;
    clock[2] *= beta_2;
    step.factors[0] = next / (1.0 - next * clock[1]);
    step.factors[1] = (1.0 - now) / (1.0 - clock[1]);
    step.factors[2] = 1.0 / (1.0 - clock[2]);
  }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T rate = rate_of<T>(learning_rate, step);
    const Moments<T> moments(beta_1, beta_2);
    const T tiny = static_cast<T>(epsilon);
    const T of_m = static_cast<T>(step.factors[0]);
    const T of_g = static_cast<T>(step.factors[1]);
    const T of_v = static_cast<T>(step.factors[2]);
    T* second = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const T m = moments.first(state[d], g[d]);
      const T v = moments.second(second[d], g[d]);
      state[d] = m;
      second[d] = v;
      w[d] = w[d] - rate * (of_m * m + of_g * g[d]) / (std::sqrt(of_v * v) + tiny);
    }
  }
};

}  // namespace keyshard
