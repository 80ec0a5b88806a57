// Checkpoints as the program takes them up and refuses them: what is damaged, foreign or newer,
// with file, reason and exit code, and folders that are in use. Each damage itself is
// tests/io/checkpoint_damage_test.cpp's.
#include <csignal>

#include <fmt/format.h>

#include "runtime/digest.hpp"
#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

class JobCheckpoint : public ProgramTest {
 protected:
  void SetUp() override {
    folder_.write("job.toml", kSmallJob);
    const Ending first =
        run("train job.toml --output out --steps 5 --set checkpoint.at_end=true", mpirun(2));
    ASSERT_EQ(first.code, kExitDone) << first.error;
  }

  /// Goes on on two ranks, which must refuse the checkpoint: exit code 3, one message that holds
  /// all of `parts`.
  void expect_refused(const std::string& options, const std::vector<std::string>& parts) {
    const Ending resumed =
        run("train job.toml --output out --steps 9 --resume latest " + options, mpirun(2));
    EXPECT_EQ(resumed.code, kExitCheckpoint) << resumed.out << resumed.error;
    EXPECT_EQ(count(resumed.error, "error: "), 1u) << resumed.error;
    for (const std::string& part : parts) {
      EXPECT_NE(resumed.error.find(part), std::string::npos) << part << " in\n" << resumed.error;
    }
  }

  const std::string step_ = "out/checkpoints/step-000005";
};

TEST_F(JobCheckpoint, WithAFlippedByteIsRefused) {
  const std::string name = step_ + "/rank-0001-of-0002.h5";
  std::string bytes = folder_.read(name);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  folder_.write(name, bytes);
  expect_refused("", {name, "expected the digest"});
}

TEST_F(JobCheckpoint, WithoutOneOfItsFilesIsRefused) {
  std::filesystem::remove(folder_.path(step_ + "/rank-0000-of-0002.h5"));
  expect_refused("", {step_, "rank-0000-of-0002.h5"});
}

TEST_F(JobCheckpoint, OfANewerFormatIsRefused) {
  const std::string name = step_ + "/manifest.json";
  std::string text = folder_.read(name);
  const std::string before = "\"format\": 1,";
  ASSERT_NE(text.find(before), std::string::npos);
  text.replace(text.find(before), before.size(), "\"format\": 2,");
  const std::size_t tail = text.rfind(",\n  \"digest\"");
  folder_.write(name,
                text.substr(0, tail) + fmt::format(",\n  \"digest\": \"{}\"\n}}\n",
                                                   keyshard::digest_of(text.data(), tail).hex()));
  expect_refused("", {name, "expected format version 1", "found 2"});
}

TEST_F(JobCheckpoint, WithATableOfAnotherModelIsRefused) {
  expect_refused("--set model.type=fm", {step_, "table C1"});
}

TEST_F(JobCheckpoint, WithMoreTablesThanTheJobIsRefused) {
  expect_refused("--set data.generator.features=2", {step_, "expected 2 tables", "found 3"});
}

TEST_F(JobCheckpoint, ThatIsNotThereIsRefusedByName) {
  const Ending resumed = run("train job.toml --output other --resume nowhere");
  EXPECT_EQ(resumed.code, kExitCheckpoint) << resumed.error;
  EXPECT_EQ(resumed.error,
            "error: nowhere: expected a checkpoint, or a folder with committed ones: found none\n");
}

TEST_F(JobCheckpoint, IsNotTrainedOverWithoutAskingForIt) {
  const Ending again = run("train job.toml --output out --steps 9", mpirun(2));
  EXPECT_EQ(again.code, kExitUsage);
  EXPECT_EQ(count(again.error,
                  "out: expected an output folder without checkpoints: found "
                  "out/checkpoints/step-000005; go on with --resume latest, or give another "
                  "--output"),
            1u)
      << again.error;
  EXPECT_EQ(newest_step("out"), 5);
}

TEST_F(JobCheckpoint, FolderOfARunningJobIsRefusedToAnother) {
  const auto job = start("train job.toml --output out --resume latest --set job.epochs=1000000", 2);
  const pid_t first_rank = job->ranks(2).at(0);
  ASSERT_TRUE(wait_until(
      [&] { return folder_.read("command.out").find("resumed from") != std::string::npos; }));
  RunningCommand second(
      folder_, mpirun(2) + " " KEYSHARD_PROGRAM " train job.toml --output out --resume latest",
      "second");
  const Ending refused = second.wait();
  EXPECT_EQ(refused.code, kExitFailure) << refused.error;
  EXPECT_NE(refused.error.find(fmt::format("out: expected a folder that no other job uses: found "
                                           "it locked by process {}",
                                           first_rank)),
            std::string::npos)
      << refused.error;
  job->signal(SIGUSR1);
  EXPECT_EQ(job->wait().code, kExitStopped);
}

TEST_F(JobCheckpoint, OfTheSameStateHasOneDigestOnAnyNumberOfRanks) {
  const std::string digest = digest_of("out");
  for (const int ranks : {1, 3}) {
    const std::string output = fmt::format("out{}", ranks);
    const Ending trained = run(
        fmt::format("train job.toml --output {} --steps 5 --set checkpoint.at_end=true", output),
        mpirun(ranks));
    ASSERT_EQ(trained.code, kExitDone) << trained.error;
    EXPECT_EQ(digest_in(trained.out), digest);
    EXPECT_EQ(digest_of(output), digest) << ranks;
  }
}

}  // namespace
}  // namespace keyshard::testing
