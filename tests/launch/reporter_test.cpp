// What a user and OUTPUT/metrics.jsonl get of a training.
#include "launch/reporter.hpp"

#include <cmath>
#include <sstream>

#include <gtest/gtest.h>

#include "launch/metrics_text.hpp"
#include "runtime/error.hpp"
#include "runtime/json.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;
using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStdout;

StepReport report_of(std::int64_t step) {
  StepReport report;
  report.step = step;
  report.total_steps = 40;
  report.loss = 0.25;
  report.examples = 100;
  return report;
}

const SettingValue& entry(const SettingValue& table, std::string_view key) {
  return ValueReader(table, "metrics.jsonl").at(key).value();
}

std::vector<SettingValue> json_lines(const std::string& text) {
  std::vector<SettingValue> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(parse_json(line, "metrics.jsonl"));
  }
  return lines;
}

TEST(Reporter, WritesALineOfJsonPerReportAtOnce) {
  const ScratchFolder folder;
  Reporter reporter(0, ProgressStyle::off, folder.path(""));
  reporter.step(report_of(20));
  Metrics metrics;
  metrics.samples = 7;
  metrics.auc = 0.75;
  metrics.loss = std::nan("");
  reporter.evaluation("valid", 20, 1, Loss::log_loss, {metrics, metrics}, true);

  const auto lines = json_lines(folder.read("metrics.jsonl"));  // while the reporter lives
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(std::get<std::string>(entry(lines[0], "kind").value), "step");
  EXPECT_EQ(std::get<std::int64_t>(entry(lines[0], "step").value), 20);
  EXPECT_EQ(std::get<double>(entry(lines[0], "loss").value), 0.25);
  for (const char* part : kStepParts) {
    EXPECT_TRUE(std::holds_alternative<double>(entry(entry(lines[0], "shares"), part).value));
  }
  EXPECT_EQ(std::get<std::string>(entry(lines[1], "kind").value), "valid");
  EXPECT_EQ(std::get<std::int64_t>(entry(lines[1], "epoch").value), 2);  // the first is 1
  EXPECT_EQ(std::get<std::int64_t>(entry(lines[1], "samples").value), 7);
  EXPECT_EQ(std::get<double>(entry(lines[1], "auc").value), 0.75);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(entry(lines[1], "loss").value));
  EXPECT_TRUE(std::get<bool>(entry(lines[1], "best").value));
  EXPECT_EQ(std::get<double>(entry(entry(lines[1], "unseen"), "auc").value), 0.75);
}

TEST(Reporter, LinesOfStepsBecomeRareInLongJobs) {
  EXPECT_EQ(seconds_between_lines(0, true, 36'000), 1);
  EXPECT_EQ(seconds_between_lines(0, false, 30), 1);
  EXPECT_EQ(seconds_between_lines(0, false, 600), 10);
  EXPECT_EQ(seconds_between_lines(0, false, 36'000), 60);
  EXPECT_EQ(seconds_between_lines(5, false, 36'000), 5);
  EXPECT_EQ(seconds_between_lines(0.25, true, 1), 0.25);
}

TEST(Reporter, AMetricThatIsUndefinedIsSaidSo) {
  Metrics metrics;
  metrics.auc = -std::nan("");
  metrics.loss = 0.5;
  metrics.normalized_entropy = std::nan("");
  metrics.calibration = 1.25;
  metrics.mean_score = 0.25;
  metrics.mean_label = 0.2;
  EXPECT_EQ(metrics_text(Loss::log_loss, {metrics}),
            "auc undefined, log loss 0.5000, normalized entropy undefined, calibration 1.2500 "
            "(mean score 0.2500, mean label 0.2000)");
  metrics.rmse = metrics.mae = std::nan("");
  EXPECT_EQ(metrics_text(Loss::squared_error, {metrics}),
            "rmse undefined, mae undefined, calibration 1.2500 (mean score 0.2500, mean label "
            "0.2000)");
}

TEST(Reporter, ShowsNoControlCharactersOfAValue) {
  SplitMetrics metrics;
  metrics.by_value = {"C1", {{"\x1B[2J", {}}}};
  const std::vector<std::string> lines = value_lines(Loss::log_loss, metrics);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(lines[0].starts_with("  C1 = \\x1b[2J: 0 samples, auc ")) << lines[0];
}

TEST(Reporter, ShowsGroupsAndValuesAndCountsWhatIsLeftOut) {
  SplitMetrics metrics;
  metrics.all.gauc = {.auc = 0.625,
                      .groups = 3,
                      .samples = 9,
                      .one_class_groups = 2,
                      .one_class_samples = 4,
                      .without_id = 1};
  metrics.by_value = {"C1", {{"a b", {}}, {{}, {}}}, 5, 77};
  metrics.by_value->values[0].metrics.samples = 12;
  EXPECT_TRUE(
      metrics_text(Loss::log_loss, metrics)
          .ends_with(", gauc 0.6250 of 3 groups (2 of one class left out, 1 samples without "
                     "an id)"));
  const std::vector<std::string> lines = value_lines(Loss::log_loss, metrics);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(lines[0].starts_with("  C1 = a b: 12 samples, auc 0.0000, log loss ")) << lines[0];
  EXPECT_TRUE(lines[1].starts_with("  C1 missing: 0 samples, auc ")) << lines[1];
  EXPECT_EQ(lines[2], "  C1: 5 more values with 77 samples (job.metrics.most = 2)");

  const ScratchFolder folder;
  Reporter(0, ProgressStyle::off, folder.path(""))
      .evaluation("valid", 1, 0, Loss::log_loss, metrics, false);
  const SettingValue report = json_lines(folder.read("metrics.jsonl")).front();
  EXPECT_EQ(std::get<double>(entry(report, "gauc").value), 0.625);
  EXPECT_EQ(std::get<std::int64_t>(entry(report, "gauc_one_class_samples").value), 4);
  const SettingValue& by_value = entry(report, "by_value");
  EXPECT_EQ(std::get<std::int64_t>(entry(by_value, "more_samples").value), 77);
  const auto values = ValueReader(by_value, "metrics.jsonl").at("values").entries(2);
  EXPECT_EQ(values[0].at("value").text(), "a b");
  EXPECT_EQ(values[0].at("samples").integer(), 12);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(values[1].at("value").value().value));
}

TEST(Reporter, StartsOverWithEmptyFiles) {
  const ScratchFolder folder;
  Reporter reporter(0, ProgressStyle::off, folder.path(""));
  reporter.step(report_of(1));
  reporter.start_over();
  reporter.step(report_of(2));
  EXPECT_EQ(json_lines(folder.read("metrics.jsonl")).size(), 1u);
  EXPECT_EQ(reporter.lost(), "");
}

TEST(Reporter, CountsTheLinesThatCouldNotBeWritten) {
  const ScratchFolder folder;
  for (const char* name : {"metrics.jsonl", "log.txt"}) {
    std::filesystem::create_symlink("/dev/full", folder.path(name));
  }
  Reporter reporter(0, ProgressStyle::off, folder.path(""));
  reporter.step(report_of(1));
  reporter.step(report_of(2));
  const std::string lost = folder.without_path(reporter.lost());
  EXPECT_NE(lost.find("metrics.jsonl: 2 lines could not be written; "), std::string::npos) << lost;
  EXPECT_NE(lost.find("log.txt: "), std::string::npos) << lost;
  EXPECT_NE(lost.find(": No space left on device"), std::string::npos) << lost;
}

TEST(Reporter, AddsToTheMetricsOfAnEarlierRun) {
  const ScratchFolder folder;
  for (std::int64_t run = 0; run < 2; ++run) {
    Reporter(0, ProgressStyle::off, folder.path("")).step(report_of(run));
  }
  EXPECT_EQ(json_lines(folder.read("metrics.jsonl")).size(), 2u);
}

TEST(Reporter, OffStillShowsNotesButNoProgress) {
  Reporter reporter(0, ProgressStyle::off, "");
  CaptureStdout();
  reporter.step(report_of(20));
  reporter.evaluation("valid", 20, 0, Loss::log_loss, {}, false);
  reporter.note("state digest 00");
  EXPECT_EQ(GetCapturedStdout(), "state digest 00\n");
}

TEST(Reporter, OtherRanksAreSilent) {
  const ScratchFolder folder;
  CaptureStdout();
  {
    Reporter reporter(1, ProgressStyle::line, folder.path(""));
    reporter.step(report_of(20));
    reporter.note("x");
  }
  EXPECT_EQ(GetCapturedStdout(), "");
  EXPECT_EQ(folder.read("metrics.jsonl"), "");
}

TEST(Reporter, WithoutATerminalEveryReportIsALine) {
  CaptureStdout();  // a file
  Reporter(0, ProgressStyle::automatic, "").step(report_of(20));
  const std::string shown = GetCapturedStdout();
  EXPECT_TRUE(shown.starts_with("step 20/40 epoch 1 loss 0.2500 ")) << shown;
  EXPECT_TRUE(shown.ends_with("\n"));
  EXPECT_EQ(shown.find('\r'), std::string::npos);
}

TEST(Reporter, AProgressLineIsWrittenOverAndClosedBeforeOtherLines) {
  CaptureStdout();
  {
    Reporter reporter(0, ProgressStyle::line, "");
    reporter.step(report_of(20));
    reporter.note("note");
    reporter.step(report_of(40));
  }
  const std::string shown = GetCapturedStdout();
  EXPECT_TRUE(shown.starts_with("\rstep 20/40 ")) << shown;
  EXPECT_NE(shown.find("\033[K\nnote\n\rstep 40/40 "), std::string::npos) << shown;
  EXPECT_TRUE(shown.ends_with("\033[K\n"));
}

TEST(Reporter, TheTimeLeftIsSaidFromTheSecondReportOn) {
  CaptureStdout();
  Reporter reporter(0, ProgressStyle::automatic, "");
  reporter.step(report_of(20));
  reporter.step(report_of(40));
  const std::string shown = GetCapturedStdout();
  const std::size_t second = shown.find('\n') + 1;
  EXPECT_EQ(shown.substr(0, second).find(" left "), std::string::npos) << shown;
  EXPECT_TRUE(shown.ends_with(" left 0:00\n")) << shown;
}

TEST(Reporter, TheLogHoldsWhatWasShownEvenIfProgressIsOff) {
  const ScratchFolder folder;
  Reporter reporter(0, ProgressStyle::off, folder.path(""));
  reporter.step(report_of(20));
  CaptureStdout();
  reporter.note("state digest 00");
  GetCapturedStdout();
  const std::string log = folder.read("log.txt");
  EXPECT_NE(log.find(" info rank 0: step 20/40 epoch 1 loss 0.2500 "), std::string::npos) << log;
  EXPECT_TRUE(log.ends_with(" info rank 0: state digest 00\n")) << log;
}

TEST(Reporter, AFileThatCannotBeWrittenIsNamed) {
  try {
    Reporter(0, ProgressStyle::off, "/proc/nowhere");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::io);
    EXPECT_TRUE(error.text().starts_with("/proc/nowhere/")) << error.text();
  }
}

}  // namespace
}  // namespace keyshard
