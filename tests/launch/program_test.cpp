// The program as a user meets it: help, messages and exit codes, alone and under mpirun.
#include <cstdlib>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "launch/commands.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

const char* const kSmallJob = R"(config_version = 1
[job]
batch_size = 256
slices = 4
threads = 1
report_every_steps = 2
[data]
format = "generated"
[data.generator]
records = 2000
valid_records = 300
features = 3
dense = 1
vocabulary = 50
[model]
type = "logistic"
[checkpoint]
at_end = false
)";

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) {
    ++found;
  }
  return found;
}

class Program : public ::testing::Test {
 protected:
  struct Run {
    int code;
    std::string out;
    std::string error;
  };

  /// Runs "PREFIX keyshard ARGUMENTS" in the folder of this test.
  Run run(const std::string& arguments, const std::string& prefix = "") {
    return shell(prefix + " " KEYSHARD_PROGRAM " " + arguments);
  }

  Run shell(const std::string& command) {
    const std::string line = "cd " + folder_.path("") + " && " + command + " > stdout 2> stderr";
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, folder_.read("stdout"),
            folder_.read("stderr")};
  }

  std::string mpirun(int ranks) const {
    return std::string(KEYSHARD_MPIRUN " -n ") + std::to_string(ranks);
  }

  bool exists(const std::string& name) const { return std::filesystem::exists(folder_.path(name)); }

  ScratchFolder folder_;
};

TEST_F(Program, EveryCommandHasHelp) {
  for (const char* command :
       {"", "train", "evaluate", "predict", "convert", "generate", "inspect", "digest", "bench"}) {
    const Run help = run(std::string(command) + " --help");
    EXPECT_EQ(help.code, kExitDone) << command;
    EXPECT_NE(help.out.find("--help"), std::string::npos) << command << help.out;
    EXPECT_EQ(help.error, "") << command;
  }
}

TEST_F(Program, SaysItsVersion) {
  const Run version = run("--version");
  EXPECT_EQ(version.code, kExitDone);
  EXPECT_TRUE(version.out.starts_with("keyshard ")) << version.out;
}

TEST_F(Program, BadUsageExitsWith2AndSaysWhat) {
  EXPECT_EQ(run("").code, kExitUsage);
  const Run command = run("trian x.toml");
  EXPECT_EQ(command.code, kExitUsage);
  EXPECT_EQ(command.error,
            "error: expected a command, one of train, evaluate, predict, convert, generate, "
            "inspect, digest, bench: found \"trian\"; did you mean \"train\"?\n");
  const Run option = run("train x.toml --stepz 3");
  EXPECT_EQ(option.code, kExitUsage);
  EXPECT_NE(option.error.find("--stepz"), std::string::npos) << option.error;
  const Run missing = run("train");
  EXPECT_EQ(missing.code, kExitUsage);
  EXPECT_NE(missing.error.find("CONFIG"), std::string::npos) << missing.error;
  EXPECT_EQ(run("train x.toml --steps 0").code, kExitUsage);
  EXPECT_EQ(run("train x.toml --progress fancy").code, kExitUsage);
}

TEST_F(Program, AMissingConfigurationIsNamed) {
  const Run result = run("train missing.toml");
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_EQ(result.error, "error: missing.toml: expected a readable configuration file\n");
}

TEST_F(Program, CudaIsRefusedAsNotBuilt) {
  folder_.write("job.toml", kSmallJob);
  const Run result = run("train job.toml --device cuda");
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_EQ(result.error, "error: --device cuda is not built in this version; use cpu or auto\n");
}

TEST_F(Program, AllMistakesOfAConfigurationAreShownBeforeAnyWork) {
  folder_.write("job.toml", std::string(kSmallJob) + "kep = 3\n[embedding]\ndim = \"x\"\n");
  const Run result = run("train job.toml --output out");
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_EQ(result.error,
            "error: job.toml:19: unknown key \"kep\" in [checkpoint]; did you mean \"keep\"?\n"
            "error: job.toml:21: embedding.dim: expected an integer: found the string \"x\"\n");
  EXPECT_FALSE(exists("out"));
}

TEST_F(Program, UnderMpirunOneRankShowsTheMistakes) {
  folder_.write("job.toml", std::string(kSmallJob) + "kep = 3\n");
  const Run result = run("train job.toml --output out", mpirun(2));
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_EQ(count(result.error, "job.toml:19: unknown key \"kep\""), 1u) << result.error;
  EXPECT_FALSE(exists("out"));
}

TEST_F(Program, TrainsAndWritesMetricsIntoTheGivenFolder) {
  folder_.write("job.toml", kSmallJob);
  const Run result = run("train job.toml --output out --set job.epochs=1 --steps 4");
  ASSERT_EQ(result.code, kExitDone) << result.error;
  EXPECT_NE(result.out.find("step 4/4 "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("state digest "), std::string::npos) << result.out;
  const std::string metrics = folder_.read("out/metrics.jsonl");
  EXPECT_EQ(count(metrics, "\"kind\":\"step\""), 2u) << metrics;
  EXPECT_EQ(count(metrics, "\"kind\":\"valid\""), 1u) << metrics;
}

TEST_F(Program, AnAssignmentOverridesTheFile) {
  folder_.write("job.toml", kSmallJob);
  const Run result =
      run("train job.toml --output out --set job.steps=3 --set data.generator.records=1000");
  ASSERT_EQ(result.code, kExitDone) << result.error;
  EXPECT_NE(result.out.find("step 3/3 "), std::string::npos) << result.out;
}

TEST_F(Program, RanksWithDifferentConfigurationsAreRefusedByName) {
  folder_.write("job.toml", kSmallJob);
  const std::string train = std::string(KEYSHARD_PROGRAM) + " train job.toml --output out ";
  const Run result = shell(std::string(KEYSHARD_MPIRUN) + " -n 1 " + train +
                           "--set job.seed=1 : -n 1 " + train + "--set job.seed=2");
  EXPECT_EQ(result.code, kExitUsage) << result.error;
  EXPECT_NE(result.error.find("expected the same configuration on all ranks: ranks 0 and 1 have "
                              "\"job.seed = 1\" and \"job.seed = 2\""),
            std::string::npos)
      << result.error;
  EXPECT_EQ(count(result.error, "expected the same configuration"), 1u) << result.error;
  EXPECT_FALSE(exists("out"));
}

TEST_F(Program, ARankThatAloneLacksItsConfigurationSaysSo) {
  folder_.write("job.toml", kSmallJob);
  const std::string program = KEYSHARD_PROGRAM;
  const Run result = shell(std::string(KEYSHARD_MPIRUN) + " -n 1 " + program +
                           " train job.toml --output out : -n 1 " + program + " train other.toml");
  EXPECT_EQ(result.code, kExitUsage) << result.error;
  EXPECT_NE(result.error.find("error: rank 1: other.toml: expected a readable configuration file"),
            std::string::npos)
      << result.error;
}

}  // namespace
}  // namespace keyshard
