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
  double learning_rate = 0.001;
  double rho = 0.9;
  double momentum = 0;
  double epsilon = 1e-7;
  bool centered = false;
  double initial_velocity = 0;

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

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T rate = rate_of<T>(learning_rate, step);
    const T take = static_cast<T>(1.0 - rho);
    const T tiny = static_cast<T>(epsilon);
    const T keep = static_cast<T>(momentum);
    T* average = state + dim;
    T* moving = centered ? average + dim : average;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      T spread = state[d] + take * (g[d] * g[d] - state[d]);
      state[d] = spread;
      if (centered) {
        const T a = average[d] + take * (g[d] - average[d]);
        average[d] = a;
        spread = spread - a * a;
        spread = spread > T{0} ? spread : T{0};
      }
      T move = rate * g[d] / std::sqrt(spread + tiny);
      if (keep > T{0}) {
        move = keep * moving[d] + move;
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
  double learning_rate = 0.001;
  double rho = 0.95;
  double epsilon = 1e-7;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
    field("rho", self.rho, 0, 1);
    field("epsilon", self.epsilon, 0);
  }

  std::array<StateRule, kStates> states() const {
    return {{{"accumulated_grad"}, {"accumulated_delta"}}};
  }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T rate = rate_of<T>(learning_rate, step);
    const T take = static_cast<T>(1.0 - rho);
    const T tiny = static_cast<T>(epsilon);
    T* moved = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const T v = state[d] + take * (g[d] * g[d] - state[d]);
      const T u = moved[d];
      const T move = std::sqrt(u + tiny) * g[d] / std::sqrt(v + tiny);
      state[d] = v;
      moved[d] = u + take * (move * move - u);
      w[d] = w[d] - rate * move;
    }
  }
};

}  // namespace keyshard
