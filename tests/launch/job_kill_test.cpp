// kill -9 of ranks and of mpirun while a training saves at every step: the newest checkpoint always
// loads, the job goes on from it, nothing is left of the saves that did not end, and the end is
// that of a job that was never killed.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

constexpr int kKills = 20;

class JobKill : public ProgramTest {
 protected:
  static std::string train(const std::string& output) {
    return "train job.toml --set job.epochs=1000000 --set checkpoint.every_steps=1 --resume latest "
           "--output " +
           output;
  }

  /// Kills a rank or mpirun a moment after the first save of this run.
  void kill_in_a_save(int round, std::mt19937& random) {
    const std::int64_t before = newest_step("out");
    const auto job = start(train("out"), 2);
    const auto ranks = job->ranks(2);
    ASSERT_EQ(ranks.size(), 2u);
    ASSERT_TRUE(wait_until([&] { return newest_step("out") > before; }))
        << folder_.read("command.error");
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40'000));
    const int victim = round % 3;
    ::kill(victim == 2 ? job->process() : ranks.at(victim), SIGKILL);
    const Ending ended = job->wait(30);
    EXPECT_NE(ended.code, kExitDone);
    EXPECT_NE(ended.code, 124) << "ranks outlive the job: " << ended.error;
  }

  bool has_debris() const {
    const std::vector<std::string> names = checkpoints("out");
    return std::any_of(names.begin(), names.end(), [](const std::string& name) {
      return name.find(".tmp-") != std::string::npos;
    });
  }
};

TEST_F(JobKill, WhileItSavesLosesNothingThatWasCommitted) {
  folder_.write("job.toml", kSmallJob);
  std::mt19937 random(2026);
  int inside_a_save = 0;
  for (int round = 0; round < kKills; ++round) {
    SCOPED_TRACE(round);
    ASSERT_NO_FATAL_FAILURE(kill_in_a_save(round, random));
    inside_a_save += has_debris();
    EXPECT_EQ(digest_of("out").size(), 32u) << digest_of("out");
  }
  RecordProperty("killed_inside_a_save", inside_a_save);
  EXPECT_GT(inside_a_save, 0);

  const std::string steps = fmt::format(" --steps {}", newest_step("out") + 3);
  const Ending resumed = run(train("out") + steps, mpirun(3));
  ASSERT_EQ(resumed.code, kExitDone) << resumed.error;
  EXPECT_FALSE(has_debris());
  EXPECT_EQ(checkpoints("out").size(), 2u);
  const Ending whole = run("train job.toml --set job.epochs=1000000 --output whole" + steps);
  ASSERT_EQ(whole.code, kExitDone) << whole.error;
  EXPECT_EQ(digest_in(resumed.out), digest_in(whole.out));
}

}  // namespace
}  // namespace keyshard::testing
