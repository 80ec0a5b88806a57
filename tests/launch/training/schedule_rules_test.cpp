// The schedule against a plain computation from all metrics at once, on random sequences of
// metrics; and the clock of a step.
#include <algorithm>
#include <cmath>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "launch/training/schedule.hpp"
#include "launch/training/step_clock.hpp"

namespace keyshard {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

JobOptions random_job(std::mt19937& random) {
  JobOptions job;
  job.metric = static_cast<ValidationMetric>(random() % 3);
  job.patience = random() % 5;
  job.decay = random() % 3 == 0 ? 1.0 : 0.5;
  job.decay_patience = 1 + random() % 3;
  job.least_decay = random() % 2 == 0 ? 0.0 : 0.2;
  return job;
}

/// Metrics with repetitions, and now and then none.
std::vector<double> random_metrics(std::mt19937& random) {
  std::vector<double> metrics(1 + random() % 30);
  for (double& metric : metrics) {
    metric = random() % 8 == 0 ? kNan : static_cast<double>(random() % 10) / 10;
  }
  return metrics;
}

/// The number of the best metric among the first `count`, the earliest of equals; -1: none.
std::int64_t slow_best(const std::vector<double>& metrics, std::size_t count, bool higher) {
  std::int64_t best = -1;
  for (std::size_t i = 0; i < count; ++i) {
    const double m = metrics[i];
    const auto at = static_cast<std::size_t>(std::max<std::int64_t>(best, 0));
    if (!std::isnan(m) && (best < 0 || (higher ? m > metrics[at] : m < metrics[at]))) {
      best = static_cast<std::int64_t>(i);
    }
  }
  return best;
}

TEST(ScheduleRules, TheBestIsTheEarliestOfTheBestMetrics) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    const JobOptions job = random_job(random);
    const std::vector<double> metrics = random_metrics(random);
    const bool higher = job.metric == ValidationMetric::auc;
    Schedule schedule(job);
    for (std::size_t i = 0; i < metrics.size(); ++i) {
      const bool is_best = schedule.observe(metrics[i], static_cast<std::int64_t>(10 * i));
      const std::int64_t best = slow_best(metrics, i + 1, higher);
      ASSERT_EQ(is_best, best == static_cast<std::int64_t>(i)) << "seed " << seed;
      ASSERT_EQ(schedule.state().any, best >= 0);
      if (best >= 0) {
        ASSERT_EQ(schedule.state().best, metrics[static_cast<std::size_t>(best)]);
        ASSERT_EQ(schedule.state().best_step, 10 * best) << "seed " << seed;
      }
    }
  }
}

TEST(ScheduleRules, StopsWhenTheLastPatienceEvaluationsWereNotTheBest) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    const JobOptions job = random_job(random);
    const std::vector<double> metrics = random_metrics(random);
    Schedule schedule(job);
    for (std::size_t i = 0; i < metrics.size(); ++i) {
      schedule.observe(metrics[i], static_cast<std::int64_t>(i));
      const std::int64_t best = slow_best(metrics, i + 1, job.metric == ValidationMetric::auc);
      const std::int64_t since = static_cast<std::int64_t>(i) - best;
      ASSERT_EQ(schedule.stopped(), job.patience > 0 && since >= job.patience) << "seed " << seed;
    }
  }
}

/// The scale of the learning rates after all metrics, run by run of evaluations without a better
/// one: each full decay_patience of them is a cut, until the least is reached.
double slow_scale(const JobOptions& job, const std::vector<double>& metrics) {
  double scale = 1;
  std::int64_t without = 0;
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const bool best = slow_best(metrics, i + 1, job.metric == ValidationMetric::auc) ==
                      static_cast<std::int64_t>(i);
    without = best ? 0 : without + 1;
    if (job.decay < 1 && without >= job.decay_patience && scale > job.least_decay) {
      scale = std::max(scale * job.decay, job.least_decay);
      without = 0;
    }
  }
  return scale;
}

TEST(ScheduleRules, CutsTheRatesAfterEveryDecayPatienceWithoutABetterMetric) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    const JobOptions job = random_job(random);
    const std::vector<double> metrics = random_metrics(random);
    Schedule schedule(job);
    for (std::size_t i = 0; i < metrics.size(); ++i) {
      schedule.observe(metrics[i], static_cast<std::int64_t>(i));
      ASSERT_GE(schedule.state().scale, std::min(1.0, job.least_decay));
    }
    ASSERT_EQ(schedule.state().scale, slow_scale(job, metrics)) << "seed " << seed;
  }
}

TEST(ScheduleRules, GoesOnFromASavedStateAsIfItHadNotStopped) {
  for (unsigned seed = 1; seed <= 100; ++seed) {
    std::mt19937 random(seed);
    const JobOptions job = random_job(random);
    const std::vector<double> metrics = random_metrics(random);
    const std::size_t at = random() % metrics.size();
    Schedule whole(job), rest(job);
    for (std::size_t i = 0; i < metrics.size(); ++i) {
      if (i == at) {
        rest.state() = whole.state();
      }
      const bool best = whole.observe(metrics[i], static_cast<std::int64_t>(i));
      if (i >= at) {
        ASSERT_EQ(rest.observe(metrics[i], static_cast<std::int64_t>(i)), best) << "seed " << seed;
        ASSERT_EQ(rest.stopped(), whole.stopped());
        ASSERT_EQ(rest.state().scale, whole.state().scale);
      }
    }
  }
}

TEST(StepClock, GivesTheTimeSinceTheLastStopToAPart) {
  StepClock clock;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  clock.stop(StepPart::read);
  clock.stop(StepPart::model);
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  clock.stop(StepPart::save);

  EXPECT_GE(clock.seconds(StepPart::read), 0.02);
  EXPECT_LT(clock.seconds(StepPart::model), clock.seconds(StepPart::read));
  EXPECT_GE(clock.seconds(StepPart::save), 0.01);
  EXPECT_EQ(clock.seconds(StepPart::lookup), 0);
  EXPECT_GE(clock.total(), 0.03);
}

TEST(StepClock, SharesAddUpToOne) {
  StepClock clock;
  for (std::size_t part = 0; part < kStepParts.size(); ++part) {
    clock.stop(static_cast<StepPart>(part));
  }
  double sum = 0;
  for (std::size_t part = 0; part < kStepParts.size(); ++part) {
    const double share = clock.share(static_cast<StepPart>(part));
    EXPECT_TRUE(0 <= share && share <= 1);
    sum += share;
  }
  EXPECT_NEAR(sum, 1, 1e-12);
}

TEST(StepClock, OfNothingHasNoShares) {
  const StepClock clock;
  EXPECT_EQ(clock.total(), 0);
  EXPECT_EQ(clock.share(StepPart::model), 0);
}

TEST(StepClock, BeginsAnewAfterAReset) {
  StepClock clock;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  clock.stop(StepPart::read);
  clock.reset();
  EXPECT_EQ(clock.total(), 0);
  clock.stop(StepPart::update);
  EXPECT_LT(clock.seconds(StepPart::update), 0.02);
}

TEST(StepClock, GivesTheLaunchesSinceTheLastCountToAPart) {
  StepClock clock;
  clock.count(StepPart::read, 5);
  clock.count(StepPart::lookup, 12);
  clock.count(StepPart::read, 13);

  EXPECT_EQ(clock.launches(StepPart::read), 6);
  EXPECT_EQ(clock.launches(StepPart::lookup), 7);
  EXPECT_EQ(clock.launches(StepPart::model), 0);
}

TEST(StepClock, CountsLaunchesAfterAResetFromTheLastCount) {
  StepClock clock;
  clock.count(StepPart::read, 5);
  clock.reset();
  EXPECT_EQ(clock.launches(StepPart::read), 0);
  clock.count(StepPart::lookup, 8);
  EXPECT_EQ(clock.launches(StepPart::lookup), 3);
}

TEST(StepParts, AreNamedInTheirOrder) {
  EXPECT_STREQ(kStepParts[static_cast<std::size_t>(StepPart::read)], "read");
  EXPECT_STREQ(kStepParts[static_cast<std::size_t>(StepPart::backward)], "backward");
  EXPECT_STREQ(kStepParts[static_cast<std::size_t>(StepPart::save)], "save");
}

}  // namespace
}  // namespace keyshard
