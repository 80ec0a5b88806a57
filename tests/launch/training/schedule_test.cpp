// When the learning rates are cut and when training stops, on sequences of metrics by hand.
#include "launch/training/schedule.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

JobOptions options(ValidationMetric metric) {
  JobOptions job;
  job.metric = metric;
  return job;
}

TEST(Schedule, TheBestIsTheHighestAucAndTheLowestLoss) {
  Schedule auc(options(ValidationMetric::auc));
  EXPECT_TRUE(auc.observe(0.7, 1));
  EXPECT_TRUE(auc.observe(0.8, 2));
  EXPECT_FALSE(auc.observe(0.8, 3));
  EXPECT_EQ(auc.state().best_step, 2);
  Schedule loss(options(ValidationMetric::log_loss));
  EXPECT_TRUE(loss.observe(0.7, 1));
  EXPECT_FALSE(loss.observe(0.8, 2));
  EXPECT_EQ(loss.state().best, 0.7);
}

TEST(Schedule, ANanIsNeverTheBest) {
  Schedule schedule(options(ValidationMetric::auc));
  EXPECT_FALSE(schedule.observe(std::nan(""), 1));
  EXPECT_FALSE(schedule.state().any);
  EXPECT_TRUE(schedule.observe(0.1, 2));
  EXPECT_FALSE(schedule.observe(std::nan(""), 3));
  EXPECT_EQ(schedule.state().best, 0.1);
}

TEST(Schedule, StopsAfterPatienceEvaluationsInARowThatAreNotBetter) {
  JobOptions job = options(ValidationMetric::auc);
  job.patience = 2;
  Schedule schedule(job);
  schedule.observe(0.5, 1);
  schedule.observe(0.4, 2);
  EXPECT_FALSE(schedule.stopped());
  schedule.observe(0.6, 3);
  schedule.observe(0.6, 4);
  EXPECT_FALSE(schedule.stopped());
  schedule.observe(0.5, 5);
  EXPECT_TRUE(schedule.stopped());
  EXPECT_EQ(schedule.state().best_step, 3);
}

TEST(Schedule, OfASavedStateStopsByThePatienceOfNow) {
  JobOptions job = options(ValidationMetric::auc);
  job.patience = 2;
  Schedule first(job);
  for (int step = 1; step <= 3; ++step) {
    first.observe(0.5, step);
  }
  EXPECT_TRUE(first.stopped());
  job.patience = 4;
  Schedule second(job);
  second.state() = first.state();
  EXPECT_FALSE(second.stopped());
  second.observe(0.5, 4);
  second.observe(0.5, 5);
  EXPECT_TRUE(second.stopped());
}

TEST(Schedule, WithoutPatienceItNeverStops) {
  Schedule schedule(options(ValidationMetric::auc));
  for (int step = 0; step < 100; ++step) {
    schedule.observe(0.5, step);
  }
  EXPECT_FALSE(schedule.stopped());
  EXPECT_EQ(schedule.state().scale, 1.0);
}

TEST(Schedule, CutsTheRatesAfterItsPatienceAndNotBelowTheLeast) {
  JobOptions job = options(ValidationMetric::auc);
  job.decay = 0.5;
  job.decay_patience = 2;
  job.least_decay = 0.2;
  Schedule schedule(job);
  const double metrics[] = {0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4};
  const double scales[] = {1, 1, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2};
  for (int i = 0; i < 9; ++i) {
    schedule.observe(metrics[i], i);
    EXPECT_EQ(schedule.state().scale, scales[i]) << i;
  }
}

}  // namespace
}  // namespace keyshard
