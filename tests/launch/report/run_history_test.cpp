// Lines of reports as curves, and what a reader is told of lines that cannot be shown.
#include "launch/report/run_history.hpp"

#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

RunHistory history_of(const std::string& lines) {
  const ScratchFolder folder;
  folder.write("metrics.jsonl", lines);
  return read_history(folder.path(""));
}

/// "20:0.5 40:nan".
std::string text_of(const RunHistory& history, const std::string& name) {
  std::string text;
  const auto found = history.curves.find(name);
  for (const CurvePoint& point : found == history.curves.end() ? Curve() : found->second) {
    text += fmt::format("{}{}:{}", text.empty() ? "" : " ", point.step, point.value);
  }
  return text;
}

std::string step_line(int step, const std::string& loss) {
  return fmt::format(R"({{"kind":"step","step":{0},"loss":{1},"rows":{{"C<1>":{0}}}}})", step,
                     loss) +
         "\n";
}

std::string valid_line(int step, const std::string& auc, bool best) {
  return fmt::format(R"({{"kind":"valid","step":{},"auc":{},"best":{},"unseen":{{"auc":0.1}}}})",
                     step, auc, best) +
         "\n";
}

TEST(RunHistory, HasACurveForEachNumber) {
  const RunHistory history =
      history_of(valid_line(20, "0.7", true) + step_line(20, "0.5") + step_line(40, "null") +
                 valid_line(60, "0.6", false) + step_line(60, "0.3"));
  EXPECT_EQ(text_of(history, "step/loss"), "20:0.5 40:nan 60:0.3");
  EXPECT_EQ(text_of(history, "step/rows/C<1>"), "20:20 40:40 60:60");
  EXPECT_EQ(text_of(history, "valid/auc"), "20:0.7 60:0.6");
  EXPECT_EQ(text_of(history, "valid/unseen/auc"), "20:0.1 60:0.1");
  EXPECT_EQ(history.best_steps, std::vector<std::int64_t>{20});
  EXPECT_EQ(history.notes, std::vector<std::string>{});
  EXPECT_EQ(history.last("step/loss"), 0.3);
  EXPECT_TRUE(std::isnan(history.last("step/none")));
}

TEST(RunHistory, ResumedSeveralTimesShowsEachStepOnceAsItWasTakenLast) {
  const RunHistory history = history_of(
      step_line(20, "0.9") + valid_line(40, "0.8", true) + step_line(40, "0.8") +
      step_line(60, "0.7") +                                // killed, resumed from step 30
      valid_line(40, "0.5", true) + step_line(40, "0.6") +  // killed, resumed from step 30
      valid_line(40, "0.5", true) + step_line(40, "0.5") + step_line(60, "0.4"));
  EXPECT_EQ(text_of(history, "step/loss"), "20:0.9 40:0.5 60:0.4");
  EXPECT_EQ(text_of(history, "valid/auc"), "40:0.5");
  EXPECT_EQ(history.best_steps, std::vector<std::int64_t>{40});
  ASSERT_EQ(history.notes.size(), 2u);
  EXPECT_TRUE(history.notes[0].starts_with(
      "metrics.jsonl line 5 goes back from step 60 to step 40: the job was resumed"))
      << history.notes[0];
  EXPECT_TRUE(history.notes[1].starts_with("metrics.jsonl line 7 goes back from step 40 to"))
      << history.notes[1];
}

TEST(RunHistory, NamesEachLineThatCannotBeRead) {
  const RunHistory history = history_of(step_line(20, "0.5") + "{\"kind\":\"step\",\"st\n\n" +
                                        "{\"kind\":\"step\"}\n[1]\n" +
                                        "{\"kind\":\"step\",\"step\":-4}\n" + step_line(40, "0.4"));
  EXPECT_EQ(text_of(history, "step/loss"), "20:0.5 40:0.4");
  ASSERT_EQ(history.notes.size(), 5u);
  for (std::size_t n = 0; n < history.notes.size(); ++n) {
    EXPECT_TRUE(history.notes[n].starts_with(fmt::format("metrics.jsonl line {}", n + 2)))
        << history.notes[n];
    EXPECT_TRUE(history.notes[n].ends_with("; the line is not shown")) << history.notes[n];
  }
}

TEST(RunHistory, ManyBadLinesAreCounted) {
  std::string lines = step_line(1, "1");
  for (int i = 0; i < 30; ++i) {
    lines += "x\n";
  }
  const RunHistory history = history_of(lines);
  ASSERT_EQ(history.notes.size(), 21u);
  EXPECT_EQ(history.notes.back(), "and 10 more notes of this kind");
}

TEST(RunHistory, WithoutReportsIsAnErrorThatSaysWhere) {
  const ScratchFolder folder;
  const auto error_of = [&] {
    try {
      read_history(folder.path("job"));
    } catch (const Error& error) {
      return folder.without_path(error.text());
    }
    return std::string("none");
  };
  std::filesystem::create_directory(folder.path("job"));
  EXPECT_TRUE(error_of().starts_with("job/metrics.jsonl: expected the reports of a training: "))
      << error_of();
  folder.write("job/metrics.jsonl", "");
  EXPECT_EQ(error_of(),
            "job/metrics.jsonl: expected a report of a training: found none in 0 lines");
  folder.write("job/metrics.jsonl", "x\n");
  EXPECT_TRUE(error_of().starts_with(
      "job/metrics.jsonl: expected a report of a training: found none in 1 lines; metrics.jsonl "
      "line 1"))
      << error_of();
}

}  // namespace
}  // namespace keyshard
