// kill -9 of ranks and of mpirun while a training saves at every step: the newest checkpoint always
// loads, the job goes on from there, nothing is left of saves that did not end, and the final
// digest is that of a job that was never killed. The same where best steps wait in memory and are
// saved beside the training.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

constexpr int kKills = 20;  // that hit a save
constexpr int kMostRounds = 60;
const std::vector<std::string> kOutputs = {"one", "two"};  // of two jobs, killed side by side

std::string train(const std::string& output) {
  return "train job.toml --set job.epochs=1000000 --set checkpoint.every_steps=1 --resume latest "
         "--output " +
         output;
}

class JobKill : public ProgramTest {
 protected:
  /// Kills a rank or mpirun a moment after the first save that is newer than `step`.
  void kill_after_save(RunningCommand& job, const std::string& output, std::int64_t step) {
    const auto ranks = job.ranks(2);
    ASSERT_EQ(ranks.size(), 2u);
    ASSERT_TRUE(wait_until([&] { return newest_step(output) > step; }))
        << folder_.read(output + ".error");
    std::this_thread::sleep_for(std::chrono::microseconds(random_() % 40'000));
    const int victim = kills_++ % 3;
    ::kill(victim == 2 ? job.process() : ranks.at(victim), SIGKILL);
  }

  void expect_killed(RunningCommand& job, const std::string& output) {
    const Ending ended = job.wait(30);
    EXPECT_NE(ended.code, kExitDone);
    EXPECT_NE(ended.code, 124) << "ranks outlive the job: " << ended.error;
    inside_a_save_ += has_debris(output);
    EXPECT_EQ(digest_of(output).size(), 32u) << digest_of(output);
  }

  bool has_debris(const std::string& output) const {
    const std::vector<std::string> names = checkpoints(output);
    return std::any_of(names.begin(), names.end(), [](const std::string& name) {
      return name.find(".tmp-") != std::string::npos;
    });
  }

  /// Resumes on three ranks and expects the digest of a job that was never killed.
  void expect_same_end(const std::string& output) {
    const std::string steps = fmt::format(" --steps {}", newest_step(output) + 3);
    const Ending resumed = run(train(output) + steps, mpirun(3));
    ASSERT_EQ(resumed.code, kExitDone) << resumed.error;
    EXPECT_FALSE(has_debris(output));
    EXPECT_EQ(checkpoints(output).size(), 2u);
    const Ending whole =
        run("train job.toml --set job.epochs=1000000 --output whole" + output + steps);
    ASSERT_EQ(whole.code, kExitDone) << whole.error;
    EXPECT_EQ(digest_in(resumed.out), digest_in(whole.out));
  }

  std::mt19937 random_{2026};
  int kills_ = 0;
  int inside_a_save_ = 0;
};

TEST_F(JobKill, WhileItSavesLosesNothingThatWasCommitted) {
  folder_.write("job.toml", kSmallJob);
  for (int round = 0; inside_a_save_ < kKills && round < kMostRounds; ++round) {
    SCOPED_TRACE(round);
    std::vector<std::unique_ptr<RunningCommand>> jobs;
    std::vector<std::int64_t> before;
    for (const std::string& output : kOutputs) {
      before.push_back(newest_step(output));
      jobs.push_back(start(train(output), 2, output));
    }
    for (std::size_t j = 0; j < jobs.size(); ++j) {
      ASSERT_NO_FATAL_FAILURE(kill_after_save(*jobs[j], kOutputs[j], before[j]));
    }
    for (std::size_t j = 0; j < jobs.size(); ++j) {
      expect_killed(*jobs[j], kOutputs[j]);
    }
  }
  RecordProperty("kills", kills_);
  RecordProperty("inside_a_save", inside_a_save_);
  EXPECT_GE(inside_a_save_, kKills);
  for (const std::string& output : kOutputs) {
    expect_same_end(output);
  }
}

TEST_F(JobKill, WhileItSavesBestStepsLeavesWholeCheckpointsFromWhichItGoesOn) {
  folder_.write("job.toml", kSmallJob);
  // Rates so small that nearly every step is the best so far.
  const std::string slow =
      "train job.toml --set job.epochs=1000000 --set job.evaluate_every_steps=1 --set "
      "job.metric=log_loss --set "
      "embedding.linear.optimizer={type=\\\"sgd\\\",learning_rate=0.001} ";
  const std::string best =
      slow +
      "--set checkpoint.best=true --set checkpoint.best_every_seconds=0.02 --resume latest "
      "--output best";
  for (int round = 0; round < 6; ++round) {
    SCOPED_TRACE(round);
    const std::int64_t before = newest_step("best");
    const auto job = start(best, 2, "best");
    ASSERT_NO_FATAL_FAILURE(kill_after_save(*job, "best", before));
    expect_killed(*job, "best");
    for (const std::string& name : checkpoints("best")) {
      EXPECT_TRUE(name.find(".tmp-") != std::string::npos ||
                  digest_of("best/checkpoints/" + name).size() == 32u)
          << name;
    }
  }
  const std::string steps = fmt::format(" --steps {}", newest_step("best") + 3);
  const Ending resumed = run(best + " --set checkpoint.at_end=true" + steps, mpirun(3));
  ASSERT_EQ(resumed.code, kExitDone) << resumed.error;
  EXPECT_FALSE(has_debris("best"));
  const Ending whole = run(slow + "--output whole" + steps);
  ASSERT_EQ(whole.code, kExitDone) << whole.error;
  EXPECT_EQ(digest_in(resumed.out), digest_in(whole.out));
}

}  // namespace
}  // namespace keyshard::testing
