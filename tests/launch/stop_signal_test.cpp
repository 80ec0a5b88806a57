// A job that gets a stop signal, through mpirun or in one rank, saves; a resume on another number
// of ranks gives the result of a job that never stopped.
#include <csignal>

#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

class StopSignal : public ProgramTest {
 protected:
  /// Starts a job that would take hours and asks it to stop in the middle.
  Ending stop_in_the_middle(const std::function<void(RunningCommand&)>& ask) {
    folder_.write("job.toml", kSmallJob);
    const auto job = start("train job.toml --output out --set job.epochs=1000000", 2);
    job->ranks(2);
    EXPECT_TRUE(
        wait_until([&] { return count(folder_.read("out/metrics.jsonl"), "\"step\":") > 3; }));
    ask(*job);
    return job->wait();
  }

  /// Resumes from the newest checkpoint for some steps on three ranks, and expects the digest of a
  /// training on one rank that did not stop.
  void expect_same_end_without_stop() {
    const std::string train = fmt::format(
        "train job.toml --set job.epochs=1000000 --steps {} --output ", newest_step("out") + 7);
    const Ending resumed = run(train + "out --resume latest", mpirun(3));
    EXPECT_EQ(resumed.code, kExitDone) << resumed.error;
    EXPECT_NE(resumed.out.find("resumed from out/checkpoints/step-"), std::string::npos)
        << resumed.out;
    const Ending whole = run(train + "whole");
    EXPECT_EQ(whole.code, kExitDone) << whole.error;
    EXPECT_EQ(digest_in(resumed.out), digest_in(whole.out));
  }
};

void expect_saved(const Ending& stopped, std::int64_t step) {
  EXPECT_EQ(stopped.code, kExitStopped) << stopped.error;
  EXPECT_NE(stopped.out.find(
                fmt::format("stopped by a signal after step {}; go on with --resume latest", step)),
            std::string::npos)
      << stopped.out;
}

TEST_F(StopSignal, Usr1ToMpirunSavesAndTheJobGoesOnAsIfItHadNotStopped) {
  const Ending stopped = stop_in_the_middle([](RunningCommand& job) { job.signal(SIGUSR1); });
  expect_saved(stopped, newest_step("out"));
  expect_same_end_without_stop();
}

TEST_F(StopSignal, TermToOneRankSavesOnAllAndTheJobGoesOnAsIfItHadNotStopped) {
  const Ending stopped =
      stop_in_the_middle([](RunningCommand& job) { ::kill(job.ranks(2).at(1), SIGTERM); });
  expect_saved(stopped, newest_step("out"));
  expect_same_end_without_stop();
}

}  // namespace
}  // namespace keyshard::testing
