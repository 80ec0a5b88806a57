// When best steps reach the disk: at once, or, where they wait in memory, before the next save and
// at the end of the job, whether it is done, stopped or failed. On 1, 2 and 3 ranks.
#include "launch/job_saves.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/checkpoint_folder.hpp"
#include "runtime/error.hpp"
#include "tests/step/tiny_job.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

using Steps = std::vector<std::int64_t>;

/// Rates so large that the metric soon stops to rise.
const std::vector<std::string> kJumping{"job.evaluate_every_steps=1", "job.metric=auc",
                                        "model.optimizer={type=\"adam\",learning_rate=0.1}"};

/// A job of 16 steps that evaluates after each one and keeps every checkpoint.
class JobSavesTest : public ::testing::TestWithParam<int> {
 protected:
  JobConfig config(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), kJumping.begin(), kJumping.end());
    more.insert(more.begin(), {"checkpoint.keep=1000", "checkpoint.best_every_seconds=1000"});
    return tiny_job(folder_.path(""), "auto", 16, more);
  }

  /// Trains on all ranks; `after` is called on each before every step with the steps so far, and
  /// says whether to stop. Returns the error of the job.
  std::string train(const JobConfig& config,
                    const std::function<bool(TrainingRun&, int rank)>& after = {}) {
    try {
      run_ranks(GetParam(), 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
        Reporter reporter(communicator.rank(), ProgressStyle::off, folder_.path("out"));
        JobCheckpoints checkpoints(config, communicator, stream);
        TrainingRun run(config, communicator, stream, reporter, &checkpoints);
        run.run([&] { return after && after(run, communicator.rank()); });
      });
    } catch (const Error& error) {
      return error.text();
    }
    return "";
  }

  Steps saved() const {
    LocalFileSystem files;
    return committed_steps(files, folder_.path("out/checkpoints"));
  }

  /// The steps that were the best ones so far, by the metrics of the job.
  Steps best_steps() const {
    Steps steps;
    std::istringstream lines(folder_.read("out/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      if (line.find("\"best\":true") != std::string::npos) {
        steps.push_back(std::atol(line.c_str() + line.find("\"step\":") + 7));
      }
    }
    return steps;
  }

  /// The last best step up to this one.
  std::int64_t best_until(std::int64_t step) const {
    const Steps best = best_steps();
    return *std::prev(std::upper_bound(best.begin(), best.end(), step));
  }

  /// Expects that the checkpoint of a step has the state of a job that ends there.
  void expect_state_of(std::int64_t step) const {
    const ScratchFolder other;
    std::vector<std::string> until = kJumping;
    until.push_back(fmt::format("job.steps={}", step));
    const TinyResult whole =
        train_on_threads(tiny_job(other.path(""), "rows", 16, until), GetParam() + 1, 1);
    const TinyResult loaded =
        train_on_threads(config({fmt::format("job.steps={}", step)}), 1, 1, false,
                         folder_.path("out/checkpoints/" + step_name(step)));
    EXPECT_EQ(loaded.digest, whole.digest) << step;
  }

  ScratchFolder folder_;
};

TEST_P(JobSavesTest, KeepTheBestStepInMemoryUntilTheEndOfTheJob) {
  ASSERT_EQ(train(config({"checkpoint.at_end=false"}),
                  [&](TrainingRun&, int) {
                    EXPECT_EQ(saved(), Steps());
                    return false;
                  }),
            "");
  ASSERT_GT(best_steps().size(), 2u) << "of which all but the last wait in vain";
  ASSERT_LT(best_until(16), 16);
  EXPECT_EQ(saved(), Steps{best_until(16)});
  expect_state_of(best_until(16));
}

TEST_P(JobSavesTest, WriteTheBestStepBeforeTheSaveThatComesAfterIt) {
  ASSERT_EQ(train(config({"checkpoint.every_steps=5"})), "");
  std::set<std::int64_t> expected;
  for (const std::int64_t step : {5, 10, 15, 16}) {
    expected.insert({best_until(step), step});
  }
  EXPECT_EQ(saved(), Steps(expected.begin(), expected.end()));
  for (const std::int64_t step : saved()) {
    expect_state_of(step);
  }
}

TEST_P(JobSavesTest, WriteEachBestStepWhereNoneWaits) {
  ASSERT_EQ(train(config({"checkpoint.at_end=false", "checkpoint.best_every_seconds=0"})), "");
  EXPECT_EQ(saved(), best_steps());
}

TEST_P(JobSavesTest, WriteTheBestStepOfAJobThatIsStopped) {
  ASSERT_EQ(train(config(), [](TrainingRun& run, int) { return run.training().steps() == 8; }), "");
  ASSERT_LT(best_until(9), 9);
  EXPECT_EQ(saved(), (Steps{best_until(9), 9}));
  expect_state_of(best_until(9));
}

TEST_P(JobSavesTest, WriteTheBestStepOfAJobThatFailsOnAllRanks) {
  const std::string error = train(config(), [](TrainingRun& run, int) {
    if (run.training().steps() == 9) {
      for (float& weight : trainer_of(run).dense().weights().span()) {
        weight = std::numeric_limits<float>::quiet_NaN();
      }
    }
    return false;
  });
  EXPECT_TRUE(error.starts_with("step 10: expected a finite loss: found nan")) << error;
  EXPECT_EQ(saved(), Steps{best_until(9)});
  expect_state_of(best_until(9));
  const std::string note = fmt::format("saved step {}, the best so far", best_until(9));
  EXPECT_NE(folder_.read("out/log.txt").find(note), std::string::npos);
}

TEST_P(JobSavesTest, DoNotWaitForTheOthersWhereOneRankFailsAlone) {
  const std::string error = train(config(), [](TrainingRun& run, int rank) {
    require(run.training().steps() < 9 || rank > 0, Kind::io, "rank 0 alone");
    return false;
  });
  EXPECT_EQ(error, "rank 0 alone");
  EXPECT_EQ(saved(), GetParam() == 1 ? Steps{best_until(9)} : Steps());
}

TEST_P(JobSavesTest, WriteAStateAtOnceThatIsTooLargeToWait) {
  const JobConfig tiny = config();
  run_ranks(GetParam(), 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Reporter reporter(communicator.rank(), ProgressStyle::off, "");
    JobCheckpoints checkpoints(tiny, communicator, stream);
    TrainingRun run(tiny, communicator, stream, reporter, nullptr);
    run.run();
    TrainingPosition position;
    position.reader.consumed.resize(16);
    EXPECT_TRUE(checkpoints.hold(run.training(), position, 1 << 20));
    EXPECT_EQ(checkpoints.held_step(), 16);
    EXPECT_FALSE(checkpoints.hold(run.training(), position, 100));
    checkpoints.begin_held();
    EXPECT_EQ(checkpoints.held_step(), -1);
    checkpoints.finish();
  });
  EXPECT_EQ(saved(), Steps{16});
}

INSTANTIATE_TEST_SUITE_P(Ranks, JobSavesTest, ::testing::Values(1, 2, 3));

}  // namespace
}  // namespace keyshard::testing
