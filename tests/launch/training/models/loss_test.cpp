#include "launch/training/models/loss.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/serial.hpp"

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
  Serial queue;
  for_each(queue, 3,
           LossGradients{
               {Loss::log_loss, logits.data(), labels.data(), weights.data()}, 8, slopes.data()});
  EXPECT_FLOAT_EQ(slopes[0], -0.5f / 8);
  EXPECT_FLOAT_EQ(slopes[1], 3 * 0.5f / 8);
  EXPECT_FLOAT_EQ(slopes[2], static_cast<float>(2 * (1 / (1 + std::exp(-4.0)) - 1) / 8));
  for_each(queue, 3,
           LossGradients{{Loss::squared_error, logits.data(), labels.data()}, 2, slopes.data()});
  EXPECT_FLOAT_EQ(slopes[0], -1);
  EXPECT_FLOAT_EQ(slopes[2], 3);
}

TEST(Loss, SumsOfSlicesAreWeighted) {
  const std::vector<float> logits{3, 5, 2}, labels{1, 1, 5}, weights{0.5, 2, 3};
  const std::vector<std::int64_t> offsets{10, 12, 12, 13};
  std::vector<double> sums(3, -1);
  const LossSamples weighted{Loss::squared_error, logits.data(), labels.data(), weights.data()};
  Serial queue;
  for_each(queue, 3, SumLosses{weighted, {offsets.data(), 3}, sums.data()});
  EXPECT_EQ(sums, (std::vector<double>{0.5 * 4 + 2 * 16, 0, 3 * 9}));
  const LossSamples equal{Loss::squared_error, logits.data(), labels.data()};
  for_each(queue, 3, SumLosses{equal, {offsets.data(), 3}, sums.data()});
  EXPECT_EQ(sums, (std::vector<double>{4 + 16, 0, 9}));
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
