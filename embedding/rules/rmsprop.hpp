// RMSprop and Adadelta: optimizers that divide by the root of a mean of squares, in which old
// gradients are forgotten at the rate rho.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "embedding/rules/optimizer_rule.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

/// v += (1 - rho) (g^2 - v); s = lr g / sqrt(v + epsilon); w -= s. `centered`: a += (1 - rho) (g -
/// a), and s divides by sqrt(max(v - a^2, 0) + epsilon): v - a^2 is no negative number except by
/// rounding. `momentum` > 0: b = momentum b + s; w -= b. State: v [dim]; a [dim] where centered; b
/// [dim] where momentum > 0. initial_velocity is v before the first step: 0 in tf_keras, 1 in TF1.
struct RmsProp {
  static constexpr const char* kName = "rmsprop";
  static constexpr int kStates = 3;
  static constexpr Widths kWidths = Widths::any;
  float learning_rate = 0.001f;
  double rho = 0.9;
  float momentum = 0;
  float epsilon = 1e-7f;
  bool centered = false;
  float initial_velocity = 0;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
    field("rho", self.rho, 0, 1);
    field("momentum", self.momentum, 0);
    field("epsilon", self.epsilon, 0);
    field("centered", self.centered);
    field("initial_velocity", self.initial_velocity, 0);
  }

  StateList<kStates> states() const {
    StateList<kStates> states;
    states.add({"velocity", initial_velocity});
    if (centered) {
      states.add({"average_gradient"});
    }
    if (momentum > 0) {
      states.add({"momentum"});
    }
    return states;
  }

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float rate = learning_rate * step.learning_rate_scale;
    const float take = static_cast<float>(1.0 - rho);
    float* average = state + dim;
    float* moving = centered ? average + dim : average;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      float spread = state[d] + take * (g[d] * g[d] - state[d]);
      state[d] = spread;
      if (centered) {
        const float a = average[d] + take * (g[d] - average[d]);
        average[d] = a;
        spread = spread - a * a;
        spread = spread > 0.0f ? spread : 0.0f;
      }
      float move = rate * g[d] / std::sqrt(spread + epsilon);
      if (momentum > 0.0f) {
        move = momentum * moving[d] + move;
        moving[d] = move;
      }
      w[d] = w[d] - move;
    }
  }
};

/// v += (1 - rho) (g^2 - v); s = sqrt(u + epsilon) / sqrt(v + epsilon) g; u += (1 - rho) (s^2 - u);
/// w -= lr s. State: v, u [dim] each. Source: Zeiler, arXiv:1212.5701;
/// tf_keras.optimizers.Adadelta.
struct Adadelta {
  static constexpr const char* kName = "adadelta";
  static constexpr int kStates = 2;
  static constexpr Widths kWidths = Widths::any;
  float learning_rate = 0.001f;
  double rho = 0.95;
  float epsilon = 1e-7f;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
    field("rho", self.rho, 0, 1);
    field("epsilon", self.epsilon, 0);
  }

  std::array<StateRule, kStates> states() const {
    return {{{"accumulated_grad"}, {"accumulated_delta"}}};
  }

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float rate = learning_rate * step.learning_rate_scale;
    const float take = static_cast<float>(1.0 - rho);
    float* moved = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const float v = state[d] + take * (g[d] * g[d] - state[d]);
      const float u = moved[d];
      const float move = std::sqrt(u + epsilon) * g[d] / std::sqrt(v + epsilon);
      state[d] = v;
      moved[d] = u + take * (move * move - u);
      w[d] = w[d] - rate * move;
    }
  }
};

}  // namespace keyshard
