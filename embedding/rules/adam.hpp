// Adam and its kin: optimizers with a first and a second moment of the gradient; the number of the
// step corrects the bias of both.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "embedding/rules/optimizer_rule.hpp"
#include "runtime/portable_math.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// m += (1 - beta_1) (g - m); v += (1 - beta_2) (g^2 - v); w -= lr sqrt(1 - beta_2^t) / (1 -
/// beta_1^t) m / (sqrt(v) + epsilon). t counts steps of the optimizer, not of the key. State: m, v
/// [dim] each.
struct Adam {
  static constexpr const char* kName = "adam";
  static constexpr int kStates = 2;
  float learning_rate = 0.001f;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  float epsilon = 1e-7f;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field.not_built("amsgrad");
    field("learning_rate", self.learning_rate, 0);
    field("beta_1", self.beta_1, 0, 1);
    field("beta_2", self.beta_2, 0, 1);
    field("epsilon", self.epsilon, 0);
  }

  std::array<StateRule, kStates> states() const { return {{{"m"}, {"v"}}}; }

  static constexpr std::array<double, 2> kClock{1, 1};  ///< beta_1^t, beta_2^t

  void tick(std::array<double, 2>& clock, StepScalars& step) const {
    clock[0] *= beta_1;
    clock[1] *= beta_2;
    step.factors[0] = static_cast<float>(portable_sqrt(1.0 - clock[1]) / (1.0 - clock[0]));
  }

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float alpha = learning_rate * step.learning_rate_scale * step.factors[0];
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

/// Adam with Nesterov's momentum on a schedule: u_t = beta_1 (1 - 0.96^t / 2), p_t = u_1 ... u_t; m
/// and v as in Adam; w -= lr (u_{t+1} / (1 - p_{t+1}) m + (1 - u_t) / (1 - p_t) g) / (sqrt(v / (1 -
/// beta_2^t)) + epsilon). t as in Adam. State: m, v [dim] each.
struct Nadam {
  static constexpr const char* kName = "nadam";
  static constexpr int kStates = 2;
  float learning_rate = 0.001f;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  float epsilon = 1e-7f;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
    field("beta_1", self.beta_1, 0, 1);
    field("beta_2", self.beta_2, 0, 1);
    field("epsilon", self.epsilon, 0);
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
    const float take_1 = static_cast<float>(1.0 - beta_1);
    const float take_2 = static_cast<float>(1.0 - beta_2);
    const float of_m = step.factors[0];
    const float of_g = step.factors[1];
    const float of_v = step.factors[2];
    float* second = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const float m = state[d] + take_1 * (g[d] - state[d]);
      const float v = second[d] + take_2 * (g[d] * g[d] - second[d]);
      state[d] = m;
      second[d] = v;
      w[d] = w[d] - rate * (of_m * m + of_g * g[d]) / (std::sqrt(of_v * v) + epsilon);
    }
  }
};

}  // namespace keyshard
