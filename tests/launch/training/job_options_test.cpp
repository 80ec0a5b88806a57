// [job] and [checkpoint]: every key with its default, both ends of its range, and the message about
// a value beyond.
#include "launch/training/job_options.hpp"

#include <functional>
#include <limits>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

namespace keyshard {
namespace {

using Table = SettingValue::Table;

constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();

SettingValue value(SettingValue::Variant variant) { return {std::move(variant), "j.toml:3"}; }

struct Result {
  JobOptions job;
  std::string problems;
};

Result read_job(Table table) {
  const SettingValue tree = value(std::move(table));
  const auto report = std::make_shared<SettingsReport>();
  Result result;
  result.job =
      read_job_options(Settings(tree, "job", report), {{"C1", "C2", "user", "tags"}, {"tags"}});
  result.problems = fmt::format("{}", fmt::join(report->messages, "\n"));
  return result;
}

struct CheckpointResult {
  CheckpointOptions options;
  std::string problems;
};

CheckpointResult read_checkpoint(Table table, std::int64_t patience = 0) {
  JobOptions job;
  job.patience = patience;
  const SettingValue tree = value(std::move(table));
  const auto report = std::make_shared<SettingsReport>();
  CheckpointResult result;
  result.options = read_checkpoint_options(Settings(tree, "checkpoint", report), job);
  result.problems = fmt::format("{}", fmt::join(report->messages, "\n"));
  return result;
}

TEST(JobOptions, HaveTheDefaultsOfTheirHeader) {
  const auto [job, problems] = read_job({});

  EXPECT_EQ(problems, "");
  EXPECT_EQ(job.output, "out");
  EXPECT_EQ(job.seed, 1u);
  EXPECT_EQ(job.epochs, 1);
  EXPECT_EQ(job.steps, 0);
  EXPECT_EQ(job.batch_size, 4096);
  EXPECT_EQ(job.slices, 16);
  EXPECT_EQ(job.threads, 0);
  EXPECT_EQ(job.numerics, "native");
  EXPECT_EQ(job.evaluate_every_steps, 0);
  EXPECT_EQ(job.evaluate_every_epochs, 1);
  EXPECT_EQ(job.patience, 0);
  EXPECT_EQ(job.decay, 1);
  EXPECT_EQ(job.metric, ValidationMetric::auc);
  EXPECT_TRUE(job.unseen.empty());
  EXPECT_FALSE(job.drop_last);
  EXPECT_EQ(job.watchdog_seconds, 60);
  EXPECT_EQ(job.start_seconds, 120);
}

struct IntegerKey {
  const char* key;
  std::int64_t least, most;
  std::function<std::int64_t(const JobOptions&)> get;
};

std::vector<IntegerKey> integer_keys() {
  return {
      {"epochs", 1, kAny, [](const JobOptions& j) { return j.epochs; }},
      {"steps", 0, kAny, [](const JobOptions& j) { return j.steps; }},
      {"threads", 0, 4096, [](const JobOptions& j) { return j.threads; }},
      {"evaluate_every_steps", 0, kAny, [](const JobOptions& j) { return j.evaluate_every_steps; }},
      {"evaluate_every_epochs", 0, kAny,
       [](const JobOptions& j) { return j.evaluate_every_epochs; }},
      {"patience", 0, kAny, [](const JobOptions& j) { return j.patience; }},
      {"decay_patience", 1, kAny, [](const JobOptions& j) { return j.decay_patience; }},
      {"report_every_steps", 1, kAny, [](const JobOptions& j) { return j.report_every_steps; }}};
}

TEST(JobOptions, IntegersAreTakenFromTheirLeastToTheirMost) {
  for (const IntegerKey& k : integer_keys()) {
    for (const std::int64_t legal : {k.least, k.most}) {
      const auto [job, problems] = read_job({{k.key, value(legal)}});
      EXPECT_EQ(problems, "") << k.key;
      EXPECT_EQ(k.get(job), legal) << k.key;
    }
    const std::string below = read_job({{k.key, value(k.least - 1)}}).problems;
    EXPECT_EQ(below.find(fmt::format("j.toml:3: job.{}: expected an integer", k.key)), 0u) << below;
    if (k.most < kAny) {
      const std::string above = read_job({{k.key, value(k.most + 1)}}).problems;
      EXPECT_NE(above.find(fmt::format("found {}", k.most + 1)), std::string::npos) << above;
    }
  }
}

TEST(JobOptions, RatesLieBetweenZeroAndOne) {
  for (const char* key : {"decay", "least_decay"}) {
    for (const double legal : {0.0, 0.5, 1.0}) {
      EXPECT_EQ(read_job({{key, value(legal)}}).problems, "") << key;
    }
    for (const double wrong : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
      EXPECT_NE(read_job({{key, value(wrong)}})
                    .problems.find(fmt::format("job.{}: expected a number from 0 to 1", key)),
                std::string::npos)
          << key;
    }
  }
  EXPECT_EQ(read_job({{"watchdog_seconds", value(0.0)}}).job.watchdog_seconds, 0);
  EXPECT_NE(read_job({{"watchdog_seconds", value(-1.0)}}).problems, "");
  EXPECT_EQ(read_job({{"start_seconds", value(2.5)}}).job.start_seconds, 2.5);
  EXPECT_NE(read_job({{"start_seconds", value(-1.0)}}).problems, "");
}

TEST(JobOptions, EverySeedIsTaken) {
  EXPECT_EQ(read_job({{"seed", value(std::int64_t{-1})}}).job.seed, ~std::uint64_t{0});
  EXPECT_EQ(read_job({{"seed", value(kAny)}}).job.seed, static_cast<std::uint64_t>(kAny));
}

TEST(JobOptions, SlicesAreAPowerOfTwoOfAtMost2048) {
  for (std::int64_t slices = 1; slices <= 2048; ++slices) {
    const auto [job, problems] =
        read_job({{"slices", value(slices)}, {"batch_size", value(slices * 3)}});
    const bool power = (slices & (slices - 1)) == 0;
    EXPECT_EQ(problems.empty(), power) << slices << ": " << problems;
    if (!power) {
      EXPECT_NE(problems.find(fmt::format("job.slices: expected a power of two: found {}", slices)),
                std::string::npos)
          << problems;
    }
  }
  EXPECT_NE(read_job({{"slices", value(std::int64_t{4096})}}).problems, "");
  EXPECT_NE(read_job({{"slices", value(std::int64_t{0})}}).problems, "");
}

TEST(JobOptions, TheBatchIsAMultipleOfTheSlices) {
  EXPECT_EQ(read_job({{"slices", value(std::int64_t{8})}, {"batch_size", value(std::int64_t{24})}})
                .problems,
            "");
  EXPECT_EQ(read_job({{"slices", value(std::int64_t{8})}, {"batch_size", value(std::int64_t{12})}})
                .problems,
            "j.toml:3: job.batch_size: expected a multiple of the 8 slices: found 12");
  // The default of 16 slices counts too.
  EXPECT_EQ(read_job({{"batch_size", value(std::int64_t{20})}}).problems,
            "j.toml:3: job.batch_size: expected a multiple of the 16 slices: found 20");
}

SettingValue text(const char* content) { return value(std::string(content)); }

TEST(JobOptions, AMetricIsKnownByItsNameAndKnowsWhichWayIsBetter) {
  const std::vector<std::tuple<const char*, ValidationMetric, bool>> metrics{
      {"auc", ValidationMetric::auc, true},
      {"log_loss", ValidationMetric::log_loss, false},
      {"rmse", ValidationMetric::rmse, false},
      {"normalized_entropy", ValidationMetric::normalized_entropy, false},
      {"gauc", ValidationMetric::gauc, true}};
  for (const auto& [name, metric, higher] : metrics) {
    EXPECT_EQ(read_job({{"metric", text(name)}}).job.metric, metric);
    EXPECT_STREQ(name_of(metric), name);
    EXPECT_EQ(higher_is_better(metric), higher);
  }
  EXPECT_NE(read_job({{"metric", text("logloss")}})
                .problems.find("found \"logloss\"; did you mean \"log_loss\"?"),
            std::string::npos);
}

TEST(JobOptions, CalibrationSteersNothing) {
  EXPECT_EQ(read_job({{"metric", text("calibration")}}).problems,
            "j.toml:3: job.metric: expected a metric that is better the larger or the smaller it "
            "is: found \"calibration\", which a model that always predicts the mean label has at "
            "its best, 1; every evaluation shows it");
}

TEST(JobOptions, MetricsNameColumnsOfOneId) {
  const auto read_metrics = [](Table metrics, const char* metric = "auc") {
    return read_job({{"metric", text(metric)}, {"metrics", value(std::move(metrics))}});
  };
  const auto [job, problems] = read_metrics(
      {{"gauc", text("user")}, {"by", text("C1")}, {"most", value(std::int64_t{5})}}, "gauc");
  EXPECT_EQ(problems, "");
  EXPECT_EQ(job.metrics.gauc, "user");
  EXPECT_EQ(job.metrics.by, "C1");
  EXPECT_EQ(job.metrics.most, 5);
  EXPECT_EQ(read_metrics({{"by", text("C1")}}).job.metrics.most, 20);
  EXPECT_EQ(read_metrics({{"by", text("usr")}, {"gauc", text("tags")}}).problems,
            "j.toml:3: job.metrics.gauc: expected a column of one id (role = \"id\"): found "
            "\"tags\", a list\n"
            "j.toml:3: job.metrics.by: expected the name of a column of ids: found \"usr\"; did "
            "you mean \"user\"?");
  EXPECT_EQ(read_metrics({{"by", text("C1")}}, "gauc").problems,
            "j.toml:3: job.metric: expected the column of the groups in job.metrics.gauc where the "
            "metric is \"gauc\": found none");
}

TEST(JobOptions, UnseenNamesFeaturesOfTheData) {
  const auto texts = [](std::vector<const char*> names) {
    SettingValue::Array array;
    for (const char* name : names) {
      array.push_back(value(std::string(name)));
    }
    return value(std::move(array));
  };
  EXPECT_EQ(read_job({{"unseen", texts({"C1", "user"})}}).job.unseen,
            (std::vector<std::string>{"C1", "user"}));
  EXPECT_EQ(read_job({{"unseen", texts({"usr", "zzzzzz"})}}).problems,
            "j.toml:3: job.unseen: expected names of columns of ids: found \"usr\"; did you mean "
            "\"user\"?\n"
            "j.toml:3: job.unseen: expected names of columns of ids: found \"zzzzzz\"");
}

TEST(JobOptions, AnUnknownKeyIsSaidWithTheNearest) {
  EXPECT_EQ(read_job({{"batchsize", value(std::int64_t{1})}}).problems,
            "j.toml:3: unknown key \"batchsize\" in [job]; did you mean \"batch_size\"?");
}

TEST(CheckpointOptions, HaveDefaultsRangesAndChoices) {
  const CheckpointOptions plain = read_checkpoint({}).options;
  EXPECT_EQ(plain.every_steps, 0);
  EXPECT_TRUE(plain.at_end);
  EXPECT_EQ(plain.keep, 2);
  EXPECT_TRUE(plain.stop_on_failure);
  EXPECT_FALSE(plain.best);
  EXPECT_TRUE(read_checkpoint({}, 3).options.best);
  EXPECT_FALSE(read_checkpoint({{"best", value(false)}}, 3).options.best);

  const CheckpointResult given = read_checkpoint({{"every_steps", value(std::int64_t{50})},
                                                  {"at_end", value(false)},
                                                  {"keep", value(std::int64_t{1})},
                                                  {"on_failure", value(std::string("continue"))}});
  EXPECT_EQ(given.problems, "");
  EXPECT_EQ(given.options.every_steps, 50);
  EXPECT_FALSE(given.options.at_end);
  EXPECT_EQ(given.options.keep, 1);
  EXPECT_FALSE(given.options.stop_on_failure);
}

TEST(CheckpointOptions, EveryWrongValueIsSaid) {
  const std::string problems = read_checkpoint({{"every_steps", value(std::int64_t{-1})},
                                                {"keep", value(std::int64_t{0})},
                                                {"on_failure", value(std::string("ignore"))},
                                                {"kep", value(std::int64_t{1})}})
                                   .problems;
  EXPECT_EQ(problems,
            "j.toml:3: checkpoint.every_steps: expected an integer of at least 0: found -1\n"
            "j.toml:3: checkpoint.keep: expected an integer of at least 1: found 0\n"
            "j.toml:3: checkpoint.on_failure: expected one of stop, continue: found \"ignore\"\n"
            "j.toml:3: unknown key \"kep\" in [checkpoint]; did you mean \"keep\"?");
}

}  // namespace
}  // namespace keyshard
