// The optimizers against steps worked by hand, in numbers that floats hold exactly where the
// formula lets them.
#include "embedding/rules/optimizers.hpp"

#include <gtest/gtest.h>

namespace keyshard {
namespace {

/// A row of one optimizer, stepped as a table steps it.
template <class O>
struct Row {
  O optimizer;
  OptimizerClock clock{Optimizer(optimizer)};
  std::vector<float> w;
  std::vector<float> state{};

  Row(const O& rule, std::vector<float> values) : optimizer(rule), w(std::move(values)) {
    for (const StateColumn& column :
         state_columns(Optimizer(rule), static_cast<std::int64_t>(w.size()))) {
      state.insert(state.end(), static_cast<std::size_t>(column.width), column.initial);
    }
  }

  const std::vector<float>& step(const std::vector<float>& gradient, float scale = 1) {
    optimizer.update(Solo{}, w.data(), state.data(), gradient.data(),
                     static_cast<std::int64_t>(w.size()), clock.tick(scale));
    return w;
  }
};

using Values = std::vector<float>;

TEST(Optimizer, SgdGoesDownTheGradientByTheScaledRate) {
  Row<Sgd> row({0.5f}, {3, -1});
  EXPECT_EQ(row.step({2, 4}), (Values{2, -3}));
  EXPECT_EQ(row.step({2, 4}, 0.25f), (Values{1.75f, -3.5f}));
}

TEST(Optimizer, MomentumKeepsAVelocity) {
  Row<Momentum> plain({0.5f, 0.5f, false}, {3});
  EXPECT_EQ(plain.step({2}), Values{2});      // m = -1
  EXPECT_EQ(plain.step({4}), Values{-0.5f});  // m = -0.5 - 2
  Row<Momentum> nesterov({0.5f, 0.5f, true}, {3});
  EXPECT_EQ(nesterov.step({2}), Values{1.5f});    // 0.5 m - 1
  EXPECT_EQ(nesterov.step({4}), Values{-1.75f});  // 0.5 m - 2
}

TEST(Optimizer, AdagradDividesByTheRootOfTheSumOfSquares) {
  Row<Adagrad> row({1, 0, 0, false}, {2});
  EXPECT_EQ(row.step({3}), Values{1});
  EXPECT_EQ(row.step({4}), Values{1 - 4.0f / 5});
  EXPECT_EQ((Row<Adagrad>({1, 7, 9, false}, {2}).step({3})), Values{2 - 3.0f / 5});
  EXPECT_EQ((Row<Adagrad>({1, 7, 1, true}, {2}).step({3})), Values{2 - 3.0f / 5});
}

TEST(Optimizer, RowwiseAdagradHasOneNumberOfState) {
  Row<RowwiseAdagrad> row({1, 0, 5}, {1, 1});
  const float factor = 1.0f / (5 + 5);  // the mean of 1 and 49 is 25
  EXPECT_EQ(row.step({1, 7}), (Values{1 - factor, 1 - 7 * factor}));
  EXPECT_EQ(row.state, Values{25});
}

TEST(Optimizer, AdamCorrectsItsMomentsByTheStepsOfTheTable) {
  Row<Adam> row({1, 0.5, 0.75, 0}, {3});
  EXPECT_EQ(row.step({2}), Values{2});  // m = 1, v = 1, sqrt(1/4) / (1/2) = 1
  row.clock.tick(1);                    // a step without this key
  // m = 1.5, v = 0.75 + 0.25 * 4 = 1.75; sqrt(1 - 27/64) / (1 - 1/8) = sqrt(37) / 7
  EXPECT_NEAR(row.step({2})[0], 2 - std::sqrt(37.0) / 7 * 1.5 / std::sqrt(1.75), 1e-6);
}

TEST(Optimizer, NadamLooksAheadOnItsSchedule) {
  Row<Nadam> row({1, 0.5, 0.75, 0}, {3});
  // u = 0.5 (1 - 0.48) = 0.26, then 0.5 (1 - 0.4608) = 0.2696; m = 1, v = 1, v hat = 4
  const double first = (0.2696 / (1 - 0.26 * 0.2696) * 1 + 0.74 / 0.74 * 2) / 2;
  EXPECT_NEAR(row.step({2})[0], 3 - first, 1e-6);
  // u = 0.2696, then 0.5 (1 - 0.442368) = 0.278816; m = 1.5, v = 1.75, v hat = 4
  const double product = 0.26 * 0.2696;
  const double second =
      (0.278816 / (1 - product * 0.278816) * 1.5 + (1 - 0.2696) / (1 - product) * 2) / 2;
  EXPECT_NEAR(row.step({2})[0], 3 - first - second, 1e-6);
  EXPECT_EQ(row.clock.numbers().size(), 3u);
}

TEST(Optimizer, FtrlClipsByL1AndDividesByTheRootAndL2) {
  // Root from 3 to 5, sigma = 2 / 0.5 = 4, z = 4 - 4 * 0.5 = 2, of which l1 takes 1.
  const Ftrl rule{0.5f, -0.5f, 9, 1, 0, 0, 0};
  EXPECT_EQ((Row<Ftrl>(rule, {0.5f}).step({4})), Values{-1.0f / 10});
  Ftrl other = rule;
  other.l2 = 2.5f;
  EXPECT_EQ((Row<Ftrl>(other, {0.5f}).step({4})), Values{-1.0f / 15});
  other = rule;
  other.beta = 1;  // 5 / 0.5 + 2 (1 / (2 * 0.5))
  EXPECT_EQ((Row<Ftrl>(other, {0.5f}).step({4})), Values{-1.0f / 12});
  other = rule;
  other.l2_shrinkage = 0.5f;  // z + 2 * 0.5 * 0.5
  EXPECT_EQ((Row<Ftrl>(other, {0.5f}).step({4})), Values{-1.5f / 10});
  other = rule;
  other.l1 = 2;
  EXPECT_EQ((Row<Ftrl>(other, {0.5f}).step({4})), Values{0});
}

}  // namespace
}  // namespace keyshard
