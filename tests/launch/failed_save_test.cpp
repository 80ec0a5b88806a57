// A save that fails because the disk is full: the job reports the path, keeps the previous
// checkpoint, and stops or goes on as configured.
#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"
#include "tests/support/small_disk.hpp"

namespace keyshard::testing {
namespace {

/// A save of this job needs about 44 KB, and the previous checkpoint still takes as much.
constexpr std::int64_t kRoomForOne = 64 << 10;

class FailedSave : public ProgramTest {
 protected:
  void SetUp() override {
    folder_.write("job.toml", kSmallJob);
    if (!disk_.mounted()) {
      GTEST_SKIP() << "needs to mount a tmpfs: run as root";
    }
  }

  Ending train(const std::string& options) {
    return run("train job.toml --output out " + options, mpirun(2));
  }

  /// The message of a full disk, once, with the path of the save of a step.
  static void expect_path(const std::string& text, std::int64_t step) {
    EXPECT_EQ(count(text, fmt::format("out/checkpoints/step-{:06}.tmp-", step)), 1u) << text;
    EXPECT_NE(text.find("rank"), std::string::npos) << text;
    EXPECT_NE(text.find("No space left"), std::string::npos) << text;
  }

  const SmallDisk disk_{folder_.path("out/checkpoints"), kRoomForOne};
};

TEST_F(FailedSave, StopsTheJobAndLeavesTheCheckpointBeforeIt) {
  const Ending ended = train("--steps 6 --set checkpoint.every_steps=2");
  EXPECT_EQ(ended.code, kExitFailure) << ended.out << ended.error;
  expect_path(ended.error, 4);
  EXPECT_EQ(checkpoints("out"), std::vector<std::string>{"step-000002"});
  const Ending whole = run("train job.toml --output whole --steps 2");
  EXPECT_EQ(digest_of("out"), digest_in(whole.out));
}

TEST_F(FailedSave, LetsTheJobGoOnWhereItIsConfiguredTo) {
  const Ending ended = train(
      "--set checkpoint.every_steps=2 --set checkpoint.on_failure=continue "
      "--set checkpoint.at_end=false --steps 7");
  EXPECT_EQ(ended.code, kExitDone) << ended.error;
  expect_path(ended.out, 4);
  expect_path(ended.out, 6);
  EXPECT_NE(ended.out.find("warning: step 4 was not saved: "), std::string::npos) << ended.out;
  EXPECT_EQ(checkpoints("out"), std::vector<std::string>{"step-000002"});
  const Ending whole = run("train job.toml --output whole --steps 7");
  EXPECT_EQ(digest_in(ended.out), digest_in(whole.out));
}

TEST_F(FailedSave, OfABestStepStopsTheJobOrIsToldAndLeavesTheBestBeforeIt) {
  const std::string best =
      "--set checkpoint.best=true --set job.evaluate_every_steps=2 --set "
      "job.metric=log_loss --set checkpoint.keep=1 --set checkpoint.best_every_seconds=0 "
      "--steps 6 ";
  const Ending stopped = train(best);
  EXPECT_EQ(stopped.code, kExitFailure) << stopped.out << stopped.error;
  expect_path(stopped.error, 4);
  EXPECT_EQ(checkpoints("out"), std::vector<std::string>{"step-000002"});
  const std::string log = folder_.read("out/log.txt");
  EXPECT_EQ(count(log, "saved step 2, the best so far"), 1u) << log;
  std::filesystem::remove_all(folder_.path("out/checkpoints/step-000002"));

  const Ending went_on = train(best + "--overwrite --set checkpoint.on_failure=continue");
  EXPECT_EQ(went_on.code, kExitDone) << went_on.error;
  expect_path(went_on.out, 4);
  expect_path(went_on.out, 6);
  EXPECT_EQ(checkpoints("out"), std::vector<std::string>{"step-000002"});
  EXPECT_NE(went_on.out.find("is not kept; score with step 2"), std::string::npos) << went_on.out;
}

TEST_F(FailedSave, OfABestStepThatHasWaitedIsThatOfTheEnd) {
  const std::string best =
      "--set checkpoint.best=true --set job.evaluate_every_steps=2 --set job.metric=log_loss "
      "--steps 6 ";
  folder_.write("out/checkpoints/foreign", std::string(kRoomForOne / 2, '.'));
  const Ending stopped = train(best);
  EXPECT_EQ(stopped.code, kExitFailure) << stopped.out << stopped.error;
  expect_path(stopped.error, 6);
  const Ending went_on = train(best + "--overwrite --set checkpoint.on_failure=continue");
  EXPECT_EQ(went_on.code, kExitDone) << went_on.error;
  expect_path(went_on.out, 6);
  EXPECT_EQ(checkpoints("out"), std::vector<std::string>{"foreign"});

  std::filesystem::remove(folder_.path("out/checkpoints/foreign"));
  const Ending saved = train(best + "--overwrite");
  EXPECT_EQ(saved.code, kExitDone) << saved.error;
  EXPECT_EQ(checkpoints("out"), std::vector<std::string>{"step-000006"});
  EXPECT_EQ(digest_of("out"), digest_in(saved.out));
}

TEST_F(FailedSave, AtTheEndOfAJobIsAFailureHoweverItIsConfigured) {
  const Ending ended = train(
      "--steps 4 --set checkpoint.every_steps=2 --set checkpoint.on_failure=continue "
      "--set checkpoint.at_end=true");
  EXPECT_EQ(ended.code, kExitFailure) << ended.out << ended.error;
  expect_path(ended.error, 4);
  EXPECT_EQ(checkpoints("out"), std::vector<std::string>{"step-000002"});
}

}  // namespace
}  // namespace keyshard::testing
