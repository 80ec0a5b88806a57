// How learning rates follow the step: values by hand from the formulas, and libm as the oracle of
// the curves.
#include "launch/training/rate_schedule.hpp"

#include <cmath>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "launch/training/schedule.hpp"

namespace keyshard {
namespace {

TEST(RateSchedule, IsConstantByDefault) {
  for (const std::int64_t step : {0, 1, 1'000'000}) {
    EXPECT_EQ(RateSchedule{}.scale(step, 100), 1);
  }
}

TEST(RateSchedule, WarmsUpInEqualParts) {
  const RateSchedule rates{.warmup_steps = 4};
  EXPECT_EQ(rates.scale(0, 100), 0.25);
  EXPECT_EQ(rates.scale(1, 100), 0.5);
  EXPECT_EQ(rates.scale(3, 100), 1);
  EXPECT_EQ(rates.scale(4, 100), 1);
}

TEST(RateSchedule, FallsInSteps) {
  const RateSchedule rates{
      .curve = RateCurve::step, .warmup_steps = 2, .factor = 0.5, .every_steps = 10, .least = 0.2};
  EXPECT_EQ(rates.scale(2, 100), 1);
  EXPECT_EQ(rates.scale(11, 100), 1);
  EXPECT_NEAR(rates.scale(12, 100), 0.5, 1e-15);
  EXPECT_NEAR(rates.scale(22, 100), 0.25, 1e-15);
  EXPECT_EQ(rates.scale(32, 100), 0.2);  // 0.125, but for the least
}

TEST(RateSchedule, FallsExponentially) {
  const RateSchedule rates{.curve = RateCurve::exponential, .factor = 0.96, .every_steps = 1000};
  for (const std::int64_t step : {0, 1, 500, 1000, 123'456}) {
    EXPECT_NEAR(rates.scale(step, 1), std::pow(0.96, static_cast<double>(step) / 1000), 1e-13)
        << step;
  }
  const RateSchedule none{.curve = RateCurve::exponential, .factor = 0, .every_steps = 1};
  EXPECT_EQ(none.scale(0, 10), 1);
  EXPECT_EQ(none.scale(5, 10), 0);
}

TEST(RateSchedule, FallsAsACosineUpToTheEndOfTheJobOrAGivenStep) {
  RateSchedule rates{.curve = RateCurve::cosine, .warmup_steps = 100, .least = 0.1};
  const auto expected = [](double part) { return 0.1 + 0.9 * (1 + std::cos(M_PI * part)) / 2; };
  for (std::int64_t step = 100; step <= 1100; ++step) {
    EXPECT_NEAR(rates.scale(step, 1100), expected(static_cast<double>(step - 100) / 1000), 1e-14);
  }
  EXPECT_NEAR(rates.scale(5000, 1100), 0.1, 1e-15);
  rates.steps = 200;
  EXPECT_NEAR(rates.scale(150, 1100), 0.55, 1e-15);
  EXPECT_NEAR(rates.scale(200, 1100), 0.1, 1e-15);
  rates.steps = 50;  // the warm-up is longer
  EXPECT_NEAR(rates.scale(100, 1100), 0.1, 1e-15);
}

TEST(RateSchedule, MultipliesTheCutsOfThePlateau) {
  JobOptions job;
  job.decay = 0.5;
  job.schedule = {.warmup_steps = 4};
  Schedule schedule(job);
  schedule.observe(0.9, 1);
  schedule.observe(0.8, 2);
  EXPECT_EQ(schedule.scale(1, 10), 0.25);
  EXPECT_EQ(schedule.scale(8, 10), 0.5);
}

struct Read {
  RateSchedule rates;
  std::string problems;
};

Read read(const SettingValue& schedule) {
  const SettingValue job{SettingValue::Table{{"schedule", schedule}}, "j.toml:1"};
  const auto report = std::make_shared<SettingsReport>();
  Settings settings(job, "job", report);
  Read result{read_rate_schedule(settings.table("schedule")), ""};
  result.problems = fmt::format("{}", fmt::join(report->messages, "\n"));
  return result;
}

TEST(RateSchedule, IsReadFromItsTableOrItsName) {
  const auto [rates, problems] =
      read({SettingValue::Table{{"type", {std::string("exponential"), "j.toml:2"}},
                                {"warmup_steps", {std::int64_t{7}, "j.toml:2"}},
                                {"factor", {0.9, "j.toml:2"}},
                                {"every_steps", {std::int64_t{50}, "j.toml:2"}},
                                {"least", {0.01, "j.toml:2"}}},
            "j.toml:2"});
  EXPECT_EQ(problems, "");
  EXPECT_EQ(rates.curve, RateCurve::exponential);
  EXPECT_EQ(rates.warmup_steps, 7);
  EXPECT_EQ(rates.factor, 0.9);
  EXPECT_EQ(rates.every_steps, 50);
  EXPECT_EQ(rates.least, 0.01);
  EXPECT_EQ(read({std::string("cosine"), "j.toml:2"}).rates.curve, RateCurve::cosine);
}

TEST(RateSchedule, NamesKeysThatItsCurveDoesNotHave) {
  const std::string problems =
      read({SettingValue::Table{{"type", {std::string("cosine"), "j.toml:2"}},
                                {"every_steps", {std::int64_t{7}, "j.toml:2"}}},
            "j.toml:2"})
          .problems;
  EXPECT_NE(problems.find("unknown key \"every_steps\" in [job.schedule]"), std::string::npos)
      << problems;
  EXPECT_NE(read({std::string("cosin"), "j.toml:2"}).problems.find("cosine"), std::string::npos);
}

}  // namespace
}  // namespace keyshard
