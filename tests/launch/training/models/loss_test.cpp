#include "launch/training/models/loss.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

TEST(Loss, OfASampleIsTheFormula) {
  EXPECT_DOUBLE_EQ(sample_loss(Loss::log_loss, 0, 1), std::log(2.0));
  EXPECT_DOUBLE_EQ(sample_loss(Loss::log_loss, 2, 0), 2 + std::log1p(std::exp(-2.0)));
  EXPECT_DOUBLE_EQ(sample_loss(Loss::log_loss, -2, 1), 2 + std::log1p(std::exp(-2.0)));
  EXPECT_DOUBLE_EQ(sample_loss(Loss::squared_error, 3, 1), 4);
}

TEST(Loss, OfLargeLogitsStaysFinite) {
  EXPECT_DOUBLE_EQ(sample_loss(Loss::log_loss, 1000, 0), 1000);
  EXPECT_DOUBLE_EQ(sample_loss(Loss::log_loss, -1000, 0), 0);
  EXPECT_TRUE(std::isnan(sample_loss(Loss::log_loss, std::nan(""), 0)));
}

TEST(Loss, GradientsAreWeightedAndDividedByTheSamplesOfTheBatch) {
  const std::vector<float> logits{0, 0, 4}, labels{1, 0, 1}, weights{1, 3, 2};
  std::vector<float> slopes(3);
  loss_gradients(Loss::log_loss, logits, labels, weights, 8, slopes.data());
  EXPECT_FLOAT_EQ(slopes[0], -0.5f / 8);
  EXPECT_FLOAT_EQ(slopes[1], 3 * 0.5f / 8);
  EXPECT_FLOAT_EQ(slopes[2], static_cast<float>(2 * (1 / (1 + std::exp(-4.0)) - 1) / 8));
  loss_gradients(Loss::squared_error, logits, labels, {}, 2, slopes.data());
  EXPECT_FLOAT_EQ(slopes[0], -1);
  EXPECT_FLOAT_EQ(slopes[2], 3);
}

TEST(Loss, SumsAreWeighted) {
  const std::vector<float> logits{3, 5}, labels{1, 1}, weights{0.5, 2};
  EXPECT_DOUBLE_EQ(loss_sum(Loss::squared_error, logits, labels, weights), 0.5 * 4 + 2 * 16);
  EXPECT_DOUBLE_EQ(loss_sum(Loss::squared_error, logits, labels, {}), 4 + 16);
}

TEST(Loss, ScoresAreProbabilitiesOrTheOutputItself) {
  const std::vector<float> logits{0, -200, 200, 1};
  std::vector<float> scores(4);
  scores_of(Loss::log_loss, logits, scores.data());
  EXPECT_EQ(scores[0], 0.5f);
  EXPECT_GE(scores[1], 0.0f);
  EXPECT_EQ(scores[2], 1.0f);
  EXPECT_FLOAT_EQ(scores[3], static_cast<float>(1 / (1 + std::exp(-1.0))));
  scores_of(Loss::squared_error, logits, scores.data());
  EXPECT_EQ(scores[1], -200.0f);
}

}  // namespace
}  // namespace keyshard
