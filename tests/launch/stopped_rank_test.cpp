// A rank that is stopped in reading, in an exchange, or in saving, ten times each: the watchdog
// names rank and phase and ends the job with its exit code, in time. Or before the
// ranks have met: StartWatch names the rank. The ranks are stopped by
// tests/collectives/mpi_stopped_rank.cpp.
#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kLimit = 2;     // seconds, as configured
constexpr double kUntilEnd = 5;  // seconds after kLimit within which the job must end
constexpr int kRounds = 10;

const char* const kPhases[] = {"reading", "exchanging", "saving"};

/// Whether a process is stopped by a signal.
bool is_stopped(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  const std::string status{std::istreambuf_iterator<char>(file), {}};
  return status.find(") T ") != std::string::npos;
}

class StoppedRank : public ProgramTest {
 protected:
  void SetUp() override {
    const Ending generated =
        run("generate data --records 2000 --valid-records 300 --features 3 --dense 1 "
            "--vocabulary 50");
    ASSERT_EQ(generated.code, kExitDone) << generated.error;
  }

  /// Starts a training without end in which a rank stops in a phase when the test asks for it.
  std::unique_ptr<RunningCommand> start_job(const std::string& name, const std::string& phase,
                                            int rank) {
    const std::string ranks = fmt::format(
        "{} -x LD_PRELOAD={} -x KEYSHARD_STOP_IN={} -x KEYSHARD_STOP_RANK={} "
        "-x KEYSHARD_STOP_WHEN={}",
        mpirun(2), KEYSHARD_STOPPED_RANK, phase, rank, folder_.path(name + ".now"));
    return std::make_unique<RunningCommand>(
        folder_,
        fmt::format("{} {} train data/click-log.toml --output {} --threads 1 "
                    "--set job.batch_size=256 --set data.block_bytes=4096 --set job.epochs=1000000 "
                    "--set job.report_every_steps=2 --set job.evaluate_every_epochs=0 "
                    "--set job.watchdog_seconds={} --set checkpoint.every_steps=5",
                    ranks, KEYSHARD_PROGRAM, name, kLimit),
        name);
  }

  struct Stuck {
    std::string name;
    std::string phase;
    std::unique_ptr<RunningCommand> job;
    pid_t process = 0;
    Clock::time_point since = {};
  };

  void stop(Stuck& stuck, int rank) {
    stuck.process = stuck.job->ranks(2)[rank];
    EXPECT_TRUE(wait_until([&] {
      return count(folder_.read(stuck.name + "/metrics.jsonl"), "\"step\":") > 3;
    })) << folder_.read(stuck.name + ".error");
    folder_.write(stuck.name + ".now", "");
  }

  static void expect_end(Stuck& stuck, int rank) {
    const Ending ended = stuck.job->wait(20);
    const double seconds = std::chrono::duration<double>(Clock::now() - stuck.since).count();
    EXPECT_EQ(ended.code, kExitWatchdog) << ended.error;
    EXPECT_EQ(count(ended.error, fmt::format("error: rank {} is stuck in phase {} for {} s", rank,
                                             stuck.phase, kLimit)),
              1u)
        << ended.error;
    EXPECT_LT(seconds, kLimit + kUntilEnd);
  }
};

TEST_F(StoppedRank, IsNamedWithItsPhaseAndTheJobEndsInTime) {
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    const int rank = round % 2;
    std::vector<Stuck> all;
    for (const char* phase : kPhases) {
      const std::string name = fmt::format("{}{}", phase, round);
      all.push_back({name, phase, start_job(name, phase, rank)});
    }
    for (Stuck& stuck : all) {
      stop(stuck, rank);
    }
    EXPECT_TRUE(wait_until(
        [&] {
          for (Stuck& stuck : all) {
            if (stuck.since == Clock::time_point() && is_stopped(stuck.process)) {
              stuck.since = Clock::now();
            }
          }
          return std::all_of(all.begin(), all.end(),
                             [](const Stuck& stuck) { return stuck.since != Clock::time_point(); });
        },
        10));
    for (Stuck& stuck : all) {
      expect_end(stuck, rank);
    }
  }
}

TEST_F(StoppedRank, IsNamedBeforeTheRanksHaveMet) {
  folder_.write("now", "");
  for (const char* moment : {"starting", "initialising", "meeting"}) {
    for (const int rank : {0, 1}) {
      SCOPED_TRACE(fmt::format("{} {}", moment, rank));
      const Ending ended =
          run("train data/click-log.toml --output out --set job.start_seconds=2",
              fmt::format("{} -x LD_PRELOAD={} -x KEYSHARD_STOP_IN={} -x KEYSHARD_STOP_RANK={} "
                          "-x KEYSHARD_STOP_WHEN={}",
                          mpirun(2), KEYSHARD_STOPPED_RANK, moment, rank, folder_.path("now")));
      EXPECT_EQ(ended.code, kExitWatchdog) << ended.error;
      EXPECT_EQ(count(ended.error, "error: "), 1u) << ended.error;
      EXPECT_NE(ended.error.find("error: the 2 ranks have not met within 2 s (job.start_seconds): "
                                 "rank " +
                                 std::to_string(rank) + " on host "),
                std::string::npos)
          << ended.error;
      EXPECT_NE(ended.error.find(" is stopped (process "), std::string::npos) << ended.error;
    }
  }
}

TEST_F(StoppedRank, IsNamedInAnEvaluationToo) {
  const Ending trained = run("train data/click-log.toml --output trained --threads 1 --steps 2");
  ASSERT_EQ(trained.code, kExitDone) << trained.error;
  folder_.write("now", "");
  const Ending ended =
      run("evaluate data/click-log.toml --checkpoint trained --split train --threads 1 --set "
          "job.watchdog_seconds=2",
          fmt::format("{} -x LD_PRELOAD={} -x KEYSHARD_STOP_IN=reading -x KEYSHARD_STOP_RANK=1 "
                      "-x KEYSHARD_STOP_WHEN={}",
                      mpirun(2), KEYSHARD_STOPPED_RANK, folder_.path("now")));
  EXPECT_EQ(ended.code, kExitWatchdog) << ended.error;
  EXPECT_EQ(count(ended.error, "error: rank 1 is stuck in phase "), 1u) << ended.error;
}

}  // namespace
}  // namespace keyshard::testing
