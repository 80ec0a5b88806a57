// The program as a user meets it: help, messages and exit codes, alone and under mpirun.
#include <unistd.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

using Program = ProgramTest;

TEST_F(Program, EveryCommandHasHelp) {
  for (const char* command : {"", "train", "evaluate", "predict", "convert", "generate", "inspect",
                              "digest", "report", "bench"}) {
    const Ending help = run(std::string(command) + " --help");
    EXPECT_EQ(help.code, kExitDone) << command;
    EXPECT_NE(help.out.find("--help"), std::string::npos) << command << help.out;
    EXPECT_EQ(help.error, "") << command;
  }
}

TEST_F(Program, SaysItsVersion) {
  const Ending version = run("--version");
  EXPECT_EQ(version.code, kExitDone);
  EXPECT_TRUE(version.out.starts_with("keyshard ")) << version.out;
}

TEST_F(Program, BadUsageExitsWith2AndSaysWhat) {
  EXPECT_EQ(run("").code, kExitUsage);
  const Ending command = run("trian x.toml");
  EXPECT_EQ(command.code, kExitUsage);
  EXPECT_EQ(command.error,
            "error: expected a command, one of train, evaluate, predict, init, config, convert, "
            "generate, "
            "inspect, digest, report, bench: found \"trian\"; did you mean \"train\"?\n");
  const Ending option = run("train x.toml --stepz 3");
  EXPECT_EQ(option.code, kExitUsage);
  EXPECT_NE(option.error.find("--stepz"), std::string::npos) << option.error;
  const Ending missing = run("train");
  EXPECT_EQ(missing.code, kExitUsage);
  EXPECT_NE(missing.error.find("CONFIG"), std::string::npos) << missing.error;
  EXPECT_EQ(run("train x.toml --steps 0").code, kExitUsage);
  EXPECT_EQ(run("train x.toml --progress fancy").code, kExitUsage);
}

TEST_F(Program, AMissingConfigurationIsNamed) {
  const Ending result = run("train missing.toml");
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_EQ(result.error, "error: missing.toml: expected a readable configuration file\n");
}

TEST_F(Program, CudaIsRefusedWhereThereIsNoGpu) {
  folder_.write("job.toml", kSmallJob);
  ::setenv("CUDA_VISIBLE_DEVICES", "", 1);
  const Ending result = run("train job.toml --output out --device cuda");
  ::unsetenv("CUDA_VISIBLE_DEVICES");
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_TRUE(result.error.starts_with(
      "error: --device cuda: expected a GPU on every machine; --device cpu runs without: found "
      "none on that of rank 0: "))
      << result.error;
}

TEST_F(Program, AllMistakesOfAConfigurationAreShownBeforeAnyWork) {
  folder_.write("job.toml", std::string(kSmallJob) + "kep = 3\n[embedding]\ndim = \"x\"\n");
  const Ending result = run("train job.toml --output out");
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_EQ(result.error,
            "error: job.toml:19: unknown key \"kep\" in [checkpoint]; did you mean \"keep\"?\n"
            "error: job.toml:21: embedding.dim: expected an integer: found the string \"x\"\n");
  EXPECT_FALSE(exists("out"));
}

TEST_F(Program, ADuplicateKeyComesAloneBeforeAnyWork) {
  folder_.write("job.toml", "colour = 1\n" + std::string(kSmallJob) + "keep = 3\nkeep = 4\n");
  const Ending result = run("train job.toml --output out");
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_EQ(result.error.find("error: job.toml:21: "), 0u) << result.error;
  EXPECT_NE(result.error.find("keep"), std::string::npos) << result.error;
  EXPECT_EQ(count(result.error, "\n"), 1u) << result.error;
  EXPECT_EQ(count(result.error, "colour"), 0u) << result.error;
  EXPECT_FALSE(exists("out"));
}

TEST_F(Program, ASyntaxErrorComesAloneBeforeAnyWork) {
  folder_.write("job.toml", "colour = 1\n" + std::string(kSmallJob) + "keep = = 3\n");
  const Ending result = run("train job.toml --output out");
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_EQ(result.error.find("error: job.toml:20: "), 0u) << result.error;
  EXPECT_EQ(count(result.error, "\n"), 1u) << result.error;
  EXPECT_EQ(count(result.error, "colour"), 0u) << result.error;
  EXPECT_FALSE(exists("out"));
}

TEST_F(Program, UnderMpirunOneRankShowsTheMistakes) {
  folder_.write("job.toml", std::string(kSmallJob) + "kep = 3\n");
  const Ending result = run("train job.toml --output out", mpirun(2));
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_EQ(count(result.error, "job.toml:19: unknown key \"kep\""), 1u) << result.error;
  EXPECT_FALSE(exists("out"));
}

TEST_F(Program, TrainsAndWritesMetricsIntoTheGivenFolder) {
  folder_.write("job.toml", kSmallJob);
  const Ending result = run("train job.toml --output out --threads 2 --set job.epochs=1 --steps 4");
  ASSERT_EQ(result.code, kExitDone) << result.error;
  EXPECT_NE(result.out.find("1 ranks x 2 threads, 4 slices, 4 steps"), std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("step 4/4 "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("state digest "), std::string::npos) << result.out;
  const std::string metrics = folder_.read("out/metrics.jsonl");
  EXPECT_EQ(count(metrics, "\"kind\":\"step\""), 2u) << metrics;
  EXPECT_EQ(count(metrics, "\"kind\":\"valid\""), 1u) << metrics;
}

TEST_F(Program, AnAssignmentOverridesTheFile) {
  folder_.write("job.toml", kSmallJob);
  const Ending result =
      run("train job.toml --output out --set job.steps=3 --set data.generator.records=1000");
  ASSERT_EQ(result.code, kExitDone) << result.error;
  EXPECT_NE(result.out.find("step 3/3 "), std::string::npos) << result.out;
}

TEST_F(Program, ATraceOfDigestsIsWrittenAndThenComparedWith) {
  folder_.write("job.toml", kSmallJob);
  const std::string train = "train job.toml --steps 4 --trace-digests trace.txt --output ";
  const Ending written = run(train + "a");
  ASSERT_EQ(written.code, kExitDone) << written.error;
  EXPECT_NE(written.out.find("digests of steps 1 to 4 are in trace.txt\n"), std::string::npos)
      << written.out;
  const Ending same = run(train + "b", mpirun(2));
  EXPECT_EQ(same.code, kExitDone) << same.error;
  EXPECT_NE(same.out.find("digests of steps 1 to 4 are those of trace.txt\n"), std::string::npos)
      << same.out;

  const Ending other = run(train + "c --set job.slices=8", mpirun(2));
  EXPECT_EQ(other.code, kExitFailure);
  EXPECT_EQ(count(other.error, "error: rank 0: trace.txt:1: step 1, batch, records: expected "), 1u)
      << other.error;
}

TEST_F(Program, RanksWithDifferentConfigurationsAreRefusedByName) {
  folder_.write("job.toml", kSmallJob);
  const std::string train = std::string(KEYSHARD_PROGRAM) + " train job.toml --output out ";
  const Ending result = shell(std::string(KEYSHARD_MPIRUN) + " -n 1 " + train +
                              "--set job.seed=1 : -n 1 " + train + "--set job.seed=2");
  EXPECT_EQ(result.code, kExitUsage) << result.error;
  EXPECT_NE(result.error.find("expected the same configuration on all ranks: ranks 0 and 1 have "
                              "\"job.seed = 1\" and \"job.seed = 2\""),
            std::string::npos)
      << result.error;
  EXPECT_EQ(count(result.error, "expected the same configuration"), 1u) << result.error;
  EXPECT_FALSE(exists("out"));
}

TEST_F(Program, RanksWithDifferentOptionsAreRefusedByName) {
  folder_.write("job.toml", kSmallJob);
  const std::string train = std::string(KEYSHARD_PROGRAM) + " train job.toml --output out ";
  for (const auto& [one, other, found] :
       {std::tuple("--resume none", "--resume latest",
                   "\"--resume = \"none\"\" and \"--resume = \"latest\"\""),
        {"", "--trace-digests trace.txt",
         "\"--trace-digests = \"\"\" and \"--trace-digests = \"trace.txt\"\""}}) {
    const Ending result =
        shell(std::string(KEYSHARD_MPIRUN) + " -n 1 " + train + one + " : -n 1 " + train + other);
    EXPECT_EQ(result.code, kExitUsage) << result.error;
    EXPECT_NE(result.error.find(std::string("ranks 0 and 1 have ") + found), std::string::npos)
        << result.error;
    EXPECT_FALSE(exists("out"));
  }
}

/// An environment in which oneDNN takes another code path for products: one that this machine has
/// and does not take by itself.
constexpr const char* kOlderMachine = "env ONEDNN_MAX_CPU_ISA=SSE41 ";

TEST_F(Program, RanksOnMachinesWithOtherNumericsAreRefused) {
  folder_.write("job.toml", kSmallJob);
  const std::string train = std::string(KEYSHARD_PROGRAM) + " train job.toml --output out ";
  const Ending result =
      shell(std::string(KEYSHARD_MPIRUN) + " -n 1 " + train + ": -n 1 " + kOlderMachine + train);
  EXPECT_EQ(result.code, kExitUsage) << result.error;
  EXPECT_NE(result.error.find("expected the same numerics on all ranks: rank 0 has "),
            std::string::npos)
      << result.error;
  EXPECT_FALSE(exists("out"));

  ASSERT_EQ(run("train job.toml --output out --steps 1 --set checkpoint.at_end=true").code,
            kExitDone);
  const std::string evaluate =
      std::string(KEYSHARD_PROGRAM) + " evaluate job.toml --checkpoint out ";
  const Ending refused = shell(std::string(KEYSHARD_MPIRUN) + " -n 1 " + evaluate + ": -n 1 " +
                               kOlderMachine + evaluate);
  EXPECT_EQ(refused.code, kExitUsage) << refused.error;
  EXPECT_NE(refused.error.find("expected the same numerics on all ranks: rank 0 has "),
            std::string::npos)
      << refused.error;
}

TEST_F(Program, GoingOnWithOtherNumericsIsAWarning) {
  folder_.write("job.toml", kSmallJob);
  const std::string train = "train job.toml --output out --set checkpoint.at_end=true --steps ";
  ASSERT_EQ(run(train + "2", kOlderMachine).code, kExitDone);
  const Ending same = run(train + "3 --resume latest", kOlderMachine);
  EXPECT_EQ(same.code, kExitDone) << same.error;
  EXPECT_EQ(count(same.out, "warning"), 0u) << same.out;

  const Ending other = run(train + "4 --resume latest");
  EXPECT_EQ(other.code, kExitDone) << other.error;
  EXPECT_EQ(count(other.out, "warning: bits differ from here on: the checkpoint has the numerics "),
            1u)
      << other.out;
}

TEST_F(Program, WarnsWhereAMaskTakesCoresFromItsThreads) {
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
    GTEST_SKIP() << "one core has no mask that takes cores away";
  }
  folder_.write("job.toml", kSmallJob);
  const std::string train = "train job.toml --steps 1 --output ";
  const Ending masked = run(train + "a --set job.threads=0", "taskset -c 0");
  EXPECT_EQ(masked.code, kExitDone);
  EXPECT_NE(masked.error.find("warning: 1 of "), std::string::npos) << masked.error;
  EXPECT_NE(masked.error.find("so a rank has 1 threads"), std::string::npos) << masked.error;
  EXPECT_EQ(run(train + "b", "taskset -c 0").error, "");
}

TEST_F(Program, ARankThatAloneLacksItsConfigurationSaysSo) {
  folder_.write("job.toml", kSmallJob);
  const std::string program = KEYSHARD_PROGRAM;
  const Ending result =
      shell(std::string(KEYSHARD_MPIRUN) + " -n 1 " + program +
            " train job.toml --output out : -n 1 " + program + " train other.toml");
  EXPECT_EQ(result.code, kExitUsage) << result.error;
  EXPECT_NE(result.error.find("error: rank 1: other.toml: expected a readable configuration file"),
            std::string::npos)
      << result.error;
}

}  // namespace
}  // namespace keyshard::testing
