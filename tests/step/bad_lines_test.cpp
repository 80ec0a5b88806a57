// Lines that do not parse: the result of a job, and whether it goes on, is the same on any number
// of ranks.
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/generated_reader.hpp"
#include "runtime/error.hpp"
#include "tests/step/tiny_job.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

constexpr std::int64_t kStopAt = 11;  // of 16 steps; the epoch ends at 8

class BadLinesOfAJob : public ::testing::Test {
 protected:
  /// The tiny job on text whose lines 100, 200, ... 700 (of 1003) have another label than a number.
  void SetUp() override {
    write_generated_text(tiny_records(), Split::train, path("good.tsv"));
    write_generated_text(tiny_records(), Split::valid, path("valid.tsv"));
    std::ifstream good(path("good.tsv"));
    std::ofstream train(path("train.tsv"));
    std::string line;
    for (int number = 1; std::getline(good, line); ++number) {
      if (number % 100 == 0 && number <= 700) {
        line[0] = '?';
      }
      train << line << "\n";
    }
  }

  std::string path(const std::string& name) const { return folder_.path(name); }

  JobConfig job(std::int64_t allowed, std::vector<std::string> more = {}) const {
    for (const std::string& part : text_data(path("train.tsv"), path("valid.tsv"))) {
      more.push_back(part);
    }
    more.push_back(fmt::format("data.max_bad_lines={}", allowed));
    return tiny_job(path(""), "rows", 16, more);
  }

  /// The error of the job on `ranks` ranks; empty: none.
  std::string complaint(std::int64_t allowed, int ranks, const std::string& from = "",
                        std::vector<std::string> more = {}) const {
    try {
      train_on_threads(job(allowed, std::move(more)), ranks, 1, false, from);
    } catch (const Error& error) {
      return error.text();
    }
    return "";
  }

  ScratchFolder folder_;
};

TEST_F(BadLinesOfAJob, AllowedOnesLeaveTheSameHolesOnAnyNumberOfRanks) {
  const TinyResult one = train_on_threads(job(7), 1, 1);

  EXPECT_EQ(one.losses.size(), 16u);  // the limit holds for each epoch
  EXPECT_EQ(train_on_threads(job(7), 2, 2), one);
  EXPECT_EQ(train_on_threads(job(7), 3, 1), one);
}

TEST_F(BadLinesOfAJob, OneMoreThanAllowedEndsTheJobAlikeOnAnyNumberOfRanks) {
  const std::string none = complaint(0, 1), six = complaint(6, 1);

  EXPECT_NE(none.find("train.tsv:"), std::string::npos) << none;
  EXPECT_NE(none.find("allowed: 0)"), std::string::npos) << none;
  EXPECT_NE(six.find("(bad lines: 7, allowed: 6)"), std::string::npos) << six;
  for (const int ranks : {2, 3}) {
    EXPECT_EQ(complaint(0, ranks), none);
    EXPECT_EQ(complaint(6, ranks), six);
    EXPECT_EQ(complaint(6, ranks, "", {"job.overlap=1"}), six);
  }
}

TEST_F(BadLinesOfAJob, AreStillCountedAfterAResumeInsideAnEpoch) {
  train_on_threads(job(7, {fmt::format("job.steps={}", kStopAt)}), 2, 1, true);
  const std::string from = fmt::format("{}/checkpoints/step-{:06}", path("out"), kStopAt);

  EXPECT_EQ(complaint(7, 3, from), "");
  EXPECT_NE(complaint(6, 3, from).find("(bad lines: 7, allowed: 6)"), std::string::npos);
}

TEST_F(BadLinesOfAJob, MayBeAllLinesOfABatch) {
  std::ofstream bad(path("train.tsv"));
  for (int line = 0; line < 300; ++line) {
    bad << "no data\n";
  }
  bad.close();

  EXPECT_NE(complaint(200, 2).find("(bad lines: 256, allowed: 200)"), std::string::npos)
      << complaint(200, 2);
}

}  // namespace
}  // namespace keyshard::testing
