// LAMB: Adam whose step of a row is as long as the row itself.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "embedding/rules/adam.hpp"
#include "embedding/rules/optimizer_rule.hpp"
#include "embedding/rules/row_norm.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

/// m and v as in Adam; u = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon) + weight_decay
/// w; w -= lr r u, where r = |w| / |u| over the numbers of the row, and 1 where either norm is 0. t
/// as in Adam. The norms are summed in double, in the fixed order of strided_sum. State: m, v [dim]
/// each. Source: You et al., arXiv:1904.00962; formula and defaults are those of tensorflow_addons,
/// norms per row those of FBGEMM.
struct Lamb {
  static constexpr const char* kName = "lamb";
  static constexpr int kStates = 2;
  static constexpr Widths kWidths = Widths::any;
  static constexpr bool kWholeRow = true;
  double learning_rate = 0.001;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-6;
  double weight_decay = 0;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    adam_fields(self, field);
    field("weight_decay", self.weight_decay, 0);
  }

  std::array<StateRule, kStates> states() const { return {{{"m"}, {"v"}}}; }

  static constexpr BetaPowers kClock{1, 1};

  void tick(BetaPowers& clock, StepScalars& step) const {
    advance(clock, beta_1, beta_2);
    step.factors[0] = 1.0 / (1.0 - clock[0]);
    step.factors[1] = 1.0 / (1.0 - clock[1]);
  }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T of_m = static_cast<T>(step.factors[0]);
    const T of_v = static_cast<T>(step.factors[1]);
    const Moments<T> moments(beta_1, beta_2);
    const T tiny = static_cast<T>(epsilon);
    const T decay = static_cast<T>(weight_decay);
    T* second = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      state[d] = moments.first(state[d], g[d]);
      second[d] = moments.second(second[d], g[d]);
    }

    // A lane reads the moments that it wrote, here and in strided_sum.
    const auto move = [&](std::int64_t d) {
      return of_m * state[d] / (std::sqrt(of_v * second[d]) + tiny) + decay * w[d];
    };
    const double row = row_norm(team, dim, [&](std::int64_t d) { return w[d]; });
    const double moved = row_norm(team, dim, move);
    const double ratio = row > 0.0 && moved > 0.0 ? row / moved : 1.0;
    const T rate = rate_of<T>(learning_rate, step) * static_cast<T>(ratio);
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      w[d] = w[d] - rate * move(d);
    }
  }
};

}  // namespace keyshard
