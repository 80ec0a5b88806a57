// Rules as a program would bring them along, one of each family, small enough to be worked by hand.
#pragma once

#include <array>
#include <cstdint>

#include "embedding/rules/own_rules.hpp"

namespace keyshard::testing {

/// w -= learning_rate * scale * 2^t * g, where t is the number of the step; counts the steps of a
/// row in `count`, and adds up its gradients in `seen`, which begins at 3.
struct Doubling {
  static constexpr const char* kName = "doubling";
  static constexpr int kStates = 2;
  float learning_rate = 0.5f;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
  }

  std::array<StateRule, kStates> states() const {
    return {{{"count", 0, StateWidth::one}, {"seen", 3}}};
  }

  static constexpr std::array<double, 1> kClock{1};

  void tick(std::array<double, 1>& clock, StepScalars& step) const {
    clock[0] *= 2;
    step.factors[0] = clock[0];
  }

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* w, float* state, const float* g, Dim dim,
                          const StepScalars& step) const {
    const float rate = learning_rate * static_cast<float>(step.learning_rate_scale) *
                       static_cast<float>(step.factors[0]);
    if (team.thread_rank() == 0) {
      state[0] += 1;
    }
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      state[1 + d] += g[d];
      w[d] -= rate * g[d];
    }
  }
};

/// Column d of key k is `times` * k + d.
struct KeyedRow {
  static constexpr const char* kName = "keyed_row";
  float times = 1;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("times", self.times);
  }

  void fill(std::uint64_t /*seed*/, Key key, std::int64_t dim, float* row) const {
    for (std::int64_t d = 0; d < dim; ++d) {
      row[d] = times * static_cast<float>(key) + static_cast<float>(d);
    }
  }
};

/// The last row of a bag minus twice the first one: depends on the order of the bag.
struct LastMinusFirst {
  static constexpr const char* kName = "last_minus_first";

  void forward(const BagRows& rows, float* out) const {
    for (std::int64_t d = 0; d < rows.dim; ++d) {
      out[d] = rows[rows.size() - 1][d] - 2 * rows[0][d];
    }
  }

  void backward(const BagRows& rows, const float* gradient, const BagGradients& gradients) const {
    for (std::int64_t d = 0; d < rows.dim; ++d) {
      gradients[rows.size() - 1][d] += gradient[d];
      gradients[0][d] -= 2 * gradient[d];
    }
  }
};

/// Shard k / 8 for key k: no shard for keys from 8192 on.
struct ByEight {
  static constexpr const char* kName = "by_eight";

  std::int64_t shard(Key key) const { return static_cast<std::int64_t>(key / 8); }
};

/// Begins at 100 and loses 10 by each step: rows that are new or were rarely stepped stay.
struct Freshness {
  static constexpr const char* kName = "freshness";

  std::uint32_t birth(std::uint32_t /*now*/) const { return 100; }

  std::uint32_t touched(std::uint32_t status, std::uint32_t /*now*/) const { return status - 10; }
};

// Rules without a name, which no configuration can name.
struct UnnamedOptimizer {
  static constexpr int kStates = 0;

  std::array<StateRule, 0> states() const { return {}; }

  template <class Team, class Dim>
  void update(const Team&, float* w, float*, const float* g, Dim dim, const StepScalars&) const {
    for (std::int64_t d = 0; d < dim; ++d) {
      w[d] -= g[d];
    }
  }
};

struct UnnamedInitializer {
  float operator()(std::uint32_t, std::int64_t column) const { return static_cast<float>(column); }
};

struct UnnamedPartitioner {
  std::int64_t shard(Key key) const { return static_cast<std::int64_t>(key % 1024); }
};

struct UnnamedPolicy {
  std::uint32_t birth(std::uint32_t) const { return 1; }

  std::uint32_t touched(std::uint32_t status, std::uint32_t) const { return status; }
};

/// A registry with all rules that have a name.
inline OwnRules own_rules() {
  return {.optimizers = {own_optimizer(Doubling{})},
          .initializers = {own_initializer(KeyedRow{})},
          .combiners = {own_combiner(LastMinusFirst{})},
          .partitioners = {own_partitioner(ByEight{})},
          .policies = {own_policy(Freshness{})}};
}

}  // namespace keyshard::testing
