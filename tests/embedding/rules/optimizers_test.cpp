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
      state.insert(state.end(), static_cast<std::size_t>(column.width),
                   static_cast<float>(column.initial));
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

TEST(Optimizer, AmsGradNeverForgetsTheLargestSecondMoment) {
  Row<AmsGrad> row({1, 0.5, 0.75, 0}, {3});
  EXPECT_EQ(row.step({2}), Values{2});  // m = 1, v = 1, sqrt(1/4) / (1/2) = 1
  // m = 0.5, v = 0.75, the largest is 1
  EXPECT_NEAR(row.step({0})[0], 2 - std::sqrt(7.0 / 16) / 0.75 * 0.5, 1e-6);
  EXPECT_EQ(row.state, (Values{0.5f, 0.75f, 1}));
}

TEST(Optimizer, AdamWDecaysTheWeightsBeforeTheStepOfAdam) {
  EXPECT_EQ((Row<AdamW>({1, 0.5, 0.75, 0, 0.25f}, {4}).step({2})), Values{3 - 1});
  EXPECT_EQ((Row<AdamW>({1, 0.5, 0.75, 0, 0.25f}, {4}).step({2}, 0.5f)), Values{3.5f - 0.5f});
}

TEST(Optimizer, AdamaxDividesByTheLargestRecentGradient) {
  Row<Adamax> row({1, 0.5, 0.75, 0}, {3});
  EXPECT_EQ(row.step({-2}), Values{4});  // m = -1, u = 2, 1 / (1 - 1/2) = 2
  // m = 0, u = max(1.5, 1), then m = 1.5, u = max(1.125, 3), 1 / (1 - 1/8)
  EXPECT_EQ(row.step({1}), Values{4});
  EXPECT_NEAR(row.step({3})[0], 4 - 8.0 / 7 * 1.5 / 3, 1e-6);
}

TEST(Optimizer, LambStepsByTheLengthOfTheRow) {
  // m = +-0.5, v = 0.25, corrected by 2 and 4: u = (1, -1), of length sqrt(2); the row has 5.
  const Lamb rule{0.5f, 0.5, 0.75, 0, 0};
  const Values far = Row<Lamb>(rule, {3, 4}).step({1, -1});
  EXPECT_NEAR(far[0], 3 - 2.5 / std::sqrt(2.0), 1e-6);
  EXPECT_NEAR(far[1], 4 + 2.5 / std::sqrt(2.0), 1e-6);
  EXPECT_EQ((Row<Lamb>(rule, {0, 0}).step({1, -1})), (Values{-0.5f, 0.5f})) << "|w| = 0";
  EXPECT_EQ((Row<Lamb>({0.5f, 0.5, 0.75, 1, 0}, {3, 4}).step({0, 0})), (Values{3, 4})) << "|u| = 0";
  // u = 0.5 w = (1, 0), of length 1; the row has 2.
  EXPECT_EQ((Row<Lamb>({0.5f, 0.5, 0.75, 1, 0.5f}, {2, 0}).step({0, 0})), (Values{1, 0}));
}

TEST(Optimizer, LambNeedsNoSquareThatFitsAFloat) {
  const Lamb rule{0.5f, 0.5, 0.75, 0, 0};
  const Values found = Row<Lamb>(rule, {3e30f, 4e30f}).step({1, -1});
  EXPECT_NEAR(found[0] / 1e30f, 3 - 2.5 / std::sqrt(2.0), 1e-5);
}

TEST(Optimizer, AdagradDaFollowsTheSumOfAllGradients) {
  // The root of 9 + 16 is 5, whatever the values were.
  Row<AdagradDa> row({0.5f, 9, 0, 0}, {7});
  EXPECT_EQ(row.step({4}), Values{-0.5f * 4 / 5});
  EXPECT_EQ(row.step({0}), Values{-0.5f * 4 / 5});
  Row<AdagradDa> l1({0.5f, 9, 1, 0}, {7});
  EXPECT_EQ(l1.step({4}), Values{-0.5f * 3 / 5});
  EXPECT_EQ(l1.step({0}), Values{-0.5f * 2 / 5}) << "l1 counts once per step";
  EXPECT_EQ((Row<AdagradDa>({0.5f, 9, 5, 0}, {7}).step({4})), Values{0});
  EXPECT_EQ((Row<AdagradDa>({0.5f, 9, 0, 2}, {7}).step({4})), Values{-0.5f * 4 / 6});
  EXPECT_EQ((Row<AdagradDa>({0.5f, 0, 0, 0}, {7}).step({0})), Values{0}) << "a root of 0";
}

TEST(Optimizer, ProximalSgdShrinksAfterTheStep) {
  const ProximalSgd rule{0.5f, 1, 2};  // moves by 0.5 towards 0, then divides by 2
  EXPECT_EQ((Row<ProximalSgd>(rule, {3, -3, 1.25f}).step({2, -2, 2})), (Values{0.75f, -0.75f, 0}));
}

TEST(Optimizer, ProximalAdagradShrinksByTheRateOfEachNumber) {
  const ProximalAdagrad rule{1, 9, 1, 5};  // the rate is 1 / 5
  EXPECT_NEAR((Row<ProximalAdagrad>(rule, {3}).step({4})[0]), (3 - 0.8 - 0.2) / 2, 1e-6);
  EXPECT_EQ((Row<ProximalAdagrad>({1, 0, 1, 5}, {3}).step({0})), Values{3}) << "a root of 0";
}

TEST(Optimizer, RmsPropDividesByTheRootOfAMeanOfSquares) {
  EXPECT_EQ((Row<RmsProp>({1, 0.75, 0, 0, false, 0}, {3}).step({2})), Values{1});
  EXPECT_EQ((Row<RmsProp>({1, 0.75, 0, 0, false, 4}, {3}).step({2})), Values{2});
  EXPECT_EQ((Row<RmsProp>({1, 0.75, 0, 3, false, 0}, {3}).step({2})), Values{2});
  // v = 2, the mean of gradients is 1: 2 - 1^2
  EXPECT_EQ((Row<RmsProp>({1, 0.5, 0, 0, true, 0}, {3}).step({2})), Values{1});
  Row<RmsProp> moving({1, 0.75, 0.5f, 0, false, 0}, {3});
  EXPECT_EQ(moving.step({2}), Values{1});
  EXPECT_NEAR(moving.step({2})[0], 1 - (0.5 * 2 + 2 / std::sqrt(1.75)), 1e-6);
  Row<RmsProp> both({1, 0.5, 0.5f, 0, true, 0}, {3});
  EXPECT_EQ(both.step({2}), Values{1});
  EXPECT_EQ(both.state, (Values{2, 1, 2}));
}

TEST(Optimizer, ACentredMeanOfEqualGradientsHasARoot) {
  Row<RmsProp> row({0.001f, 0.9, 0, 1e-7f, true, 0}, Values(64, 0));
  Values gradients;
  for (int d = 0; d < 64; ++d) {
    gradients.push_back(100 + 0.37f * static_cast<float>(d));
  }
  for (int step = 0; step < 500; ++step) {
    row.step(gradients);
  }
  for (const float w : row.w) {
    EXPECT_TRUE(std::isfinite(w));
  }
}

TEST(Optimizer, AdadeltaStepsByTheRootOfItsOwnSteps) {
  Row<Adadelta> row({0.5f, 0.75, 5}, {3});
  // v = 4: s = sqrt(5) 4 / sqrt(9); then v = 3: s = sqrt(u + 5) 4 / sqrt(7 + 5)
  const double first = std::sqrt(5.0) * 4 / 3;
  EXPECT_NEAR(row.step({4})[0], 3 - 0.5 * first, 1e-6);
  const double second = std::sqrt(first * first / 4 + 5) * 4 / std::sqrt(12.0);
  EXPECT_NEAR(row.step({4})[0], 3 - 0.5 * (first + second), 1e-6);
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
