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
inline float adam_factor(const BetaPowers& clock) {
  return static_cast<float>(portable_sqrt(1.0 - clock[1]) / (1.0 - clock[0]));
}

/// The means of gradients and of their squares, of one number of a row.
struct Moments {
  float take_1;
  float take_2;

  KEYSHARD_HD Moments(double beta_1, double beta_2)
      : take_1(static_cast<float>(1.0 - beta_1)), take_2(static_cast<float>(1.0 - beta_2)) {}

  KEYSHARD_HD float first(float m, float g) const { return m + take_1 * (g - m); }

  KEYSHARD_HD float second(float v, float g) const { return v + take_2 * (g * g - v); }
};

/// m += (1 - beta_1) (g - m); v += (1 - beta_2) (g^2 - v); w -= lr sqrt(1 - beta_2^t) / (1 -
/// beta_1^t) m / (sqrt(v) + epsilon). t counts steps of the optimizer, not of the key. State: m, v
/// [dim] each.
struct Adam {
  static constexpr const char* kName = "adam";
  static constexpr int kStates = 2;
  static constexpr Widths kWidths = Widths::usual;
  float learning_rate = 0.001f;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  float epsilon = 1e-7f;

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

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float alpha = learning_rate * step.learning_rate_scale * step.factors[0];
    const Moments moments(beta_1, beta_2);
    float* second = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const float m = moments.first(state[d], g[d]);
      const float v = moments.second(second[d], g[d]);
      state[d] = m;
      second[d] = v;
      w[d] = w[d] - alpha * m / (std::sqrt(v) + epsilon);
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
  float learning_rate = 0.001f;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  float epsilon = 1e-7f;

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

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float alpha = learning_rate * step.learning_rate_scale * step.factors[0];
    const Moments moments(beta_1, beta_2);
    float* second = state + dim;
    float* largest = second + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const float m = moments.first(state[d], g[d]);
      const float v = moments.second(second[d], g[d]);
      const float x = v > largest[d] ? v : largest[d];
      state[d] = m;
      second[d] = v;
      largest[d] = x;
      w[d] = w[d] - alpha * m / (std::sqrt(x) + epsilon);
    }
  }
};

/// w -= lr weight_decay w, then the step of Adam: the same bits as Adam with that weight_decay in
/// its Regularization. State as in Adam. Source: tf_keras.optimizers.AdamW.
struct AdamW {
  static constexpr const char* kName = "adamw";
  static constexpr int kStates = 2;
  static constexpr Widths kWidths = Widths::usual;
  float learning_rate = 0.001f;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  float epsilon = 1e-7f;
  float weight_decay = 0.004f;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    adam_fields(self, field);
    field("weight_decay", self.weight_decay, 0);
  }

  KEYSHARD_HD Adam adam() const { return {learning_rate, beta_1, beta_2, epsilon}; }

  std::array<StateRule, kStates> states() const { return adam().states(); }

  static constexpr BetaPowers kClock = Adam::kClock;

  void tick(BetaPowers& clock, StepScalars& step) const { adam().tick(clock, step); }

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float decay = learning_rate * step.learning_rate_scale * weight_decay;
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
  float learning_rate = 0.001f;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  float epsilon = 1e-7f;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    adam_fields(self, field);
  }

  std::array<StateRule, kStates> states() const { return {{{"m"}, {"u"}}}; }

  static constexpr std::array<double, 1> kClock{1};  ///< beta_1^t

  void tick(std::array<double, 1>& clock, StepScalars& step) const {
    clock[0] *= beta_1;
    step.factors[0] = static_cast<float>(1.0 / (1.0 - clock[0]));
  }

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float alpha = learning_rate * step.learning_rate_scale * step.factors[0];
    const float keep = static_cast<float>(beta_2);
    const Moments moments(beta_1, beta_2);
    float* largest = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const float m = moments.first(state[d], g[d]);
      const float kept = keep * largest[d];
      const float size = std::abs(g[d]);
      const float u = kept > size ? kept : size;
      state[d] = m;
      largest[d] = u;
      w[d] = w[d] - alpha * m / (u + epsilon);
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
  float learning_rate = 0.001f;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  float epsilon = 1e-7f;

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
    step.factors[0] = static_cast<float>(next / (1.0 - next * clock[1]));
    step.factors[1] = static_cast<float>((1.0 - now) / (1.0 - clock[1]));
    step.factors[2] = static_cast<float>(1.0 / (1.0 - clock[2]));
  }

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float rate = learning_rate * step.learning_rate_scale;
    const Moments moments(beta_1, beta_2);
    const float of_m = step.factors[0];
    const float of_g = step.factors[1];
    const float of_v = step.factors[2];
    float* second = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const float m = moments.first(state[d], g[d]);
      const float v = moments.second(second[d], g[d]);
      state[d] = m;
      second[d] = v;
      w[d] = w[d] - rate * (of_m * m + of_g * g[d]) / (std::sqrt(of_v * v) + epsilon);
    }
  }
};

}  // namespace keyshard
