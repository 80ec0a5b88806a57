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
  float learning_rate = 0.001f;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  float epsilon = 1e-6f;
  float weight_decay = 0;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    adam_fields(self, field);
    field("weight_decay", self.weight_decay, 0);
  }

  std::array<StateRule, kStates> states() const { return {{{"m"}, {"v"}}}; }

  static constexpr BetaPowers kClock{1, 1};

  void tick(BetaPowers& clock, StepScalars& step) const {
    advance(clock, beta_1, beta_2);
    step.factors[0] = static_cast<float>(1.0 / (1.0 - clock[0]));
    step.factors[1] = static_cast<float>(1.0 / (1.0 - clock[1]));
  }

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* KEYSHARD_RESTRICT w,
                          float* KEYSHARD_RESTRICT state, const float* KEYSHARD_RESTRICT g, Dim dim,
                          const StepScalars& step) const {
    const float of_m = step.factors[0];
    const float of_v = step.factors[1];
    const Moments moments(beta_1, beta_2);
    float* second = state + dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      state[d] = moments.first(state[d], g[d]);
      second[d] = moments.second(second[d], g[d]);
    }

    // A lane reads the moments that it wrote, here and in strided_sum.
    const auto move = [&](std::int64_t d) {
      return of_m * state[d] / (std::sqrt(of_v * second[d]) + epsilon) + weight_decay * w[d];
    };
    const double row = row_norm(team, dim, [&](std::int64_t d) { return w[d]; });
    const double moved = row_norm(team, dim, move);
    const double ratio = row > 0.0 && moved > 0.0 ? row / moved : 1.0;
    const float rate = learning_rate * step.learning_rate_scale * static_cast<float>(ratio);
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      w[d] = w[d] - rate * move(d);
    }
  }
};

}  // namespace keyshard
