// The scripts that start jobs, as in a checkout: the scripts for several nodes turn TERM into a
// save and an exit code, and the resume command that the quickstart prints works.
#include <csignal>

#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

/// The scripts, and a program where they look for it.
class ReadyScripts : public ProgramTest {
 protected:
  void SetUp() override {
    folder_.write("job.toml", kSmallJob);
    std::filesystem::copy(KEYSHARD_LAUNCH_DIR, folder_.path("launch"));
    std::filesystem::copy(KEYSHARD_LAUNCH_DIR "/examples", folder_.path("launch/examples"));
    std::filesystem::create_directories(folder_.path("build/release/bin"));
    std::filesystem::create_symlink(KEYSHARD_PROGRAM, folder_.path("build/release/bin/keyshard"));
  }

  /// An executable script in the folder.
  void write_script(const std::string& name, const std::string& text) {
    std::filesystem::remove(folder_.path(name));
    folder_.write(name, "#!/bin/sh\n" + text);
    std::filesystem::permissions(folder_.path(name), std::filesystem::perms::owner_all);
  }

  /// Runs a command, sends TERM to it in the middle, and expects a save and exit code 75; then
  /// expects that the same command continues the job.
  void expect_saves_and_goes_on(const std::string& command) {
    RunningCommand job(folder_, command + " --set job.epochs=1000000");
    EXPECT_TRUE(wait_until([&] {
      return count(folder_.read("out/metrics.jsonl"), "\"step\":") > 3;
    })) << folder_.read("command.error");
    job.signal(SIGTERM);
    const Ending stopped = job.wait();
    const std::int64_t step = newest_step("out");
    EXPECT_EQ(stopped.code, kExitStopped) << stopped.error;
    EXPECT_NE(stopped.out.find(fmt::format("stopped by a signal after step {};", step)),
              std::string::npos)
        << stopped.out;
    const Ending resumed = shell(fmt::format("{} --steps {}", command, step + 3));
    EXPECT_EQ(resumed.code, kExitDone) << resumed.error;
    EXPECT_NE(resumed.out.find("resumed from out/checkpoints/step-"), std::string::npos)
        << resumed.out;
  }
};

TEST_F(ReadyScripts, OfAHostfileTurnTermIntoASave) {
  folder_.write("hosts", "# this host\n127.0.0.1 slots=2\n");
  expect_saves_and_goes_on("bash launch/run_hosts.sh hosts job.toml --output out");
  EXPECT_NE(folder_.read("command.out").find(" on 2 ranks"), std::string::npos);
}

TEST_F(ReadyScripts, OfSlurmTurnTermIntoASaveAndQueueTheJobAgain) {
  write_script("scontrol", "echo \"$@\" >> asked\n");
  // Open MPI must not ask Slurm for the allocation.
  expect_saves_and_goes_on(
      "env PATH=.:\"$PATH\" OMPI_MCA_ras=^slurm OMPI_MCA_plm=^slurm SLURM_NTASKS=2 SLURM_JOB_ID=17 "
      "SLURM_SUBMIT_DIR=. bash launch/slurm.sbatch job.toml --output out");
  EXPECT_EQ(folder_.read("asked"), "requeue 17\n");
}

TEST_F(ReadyScripts, NameAHostThatNeverAnswers) {
  folder_.write("hosts", "10.213.99.1 slots=1\n10.213.99.2 slots=1  # the second\n");
  // In place of ssh: the first host is this one, the second takes the connection and says nothing.
  write_script("agent",
               "host=$1\nshift\ncase $host in *.2) exec sleep 600 ;; esac\nexec sh -c \"$*\"\n");
  const Ending ended = shell(
      "env OMPI_MCA_plm_rsh_agent=\"$PWD/agent\" bash launch/run_hosts.sh hosts job.toml "
      "--output out --set job.start_seconds=5");
  EXPECT_EQ(ended.code, kExitWatchdog) << ended.error;
  EXPECT_EQ(ended.error,
            "error: no program could be started within 5 s (job.start_seconds) on: 10.213.99.2\n");
  EXPECT_FALSE(exists("out"));
}

TEST_F(ReadyScripts, ReadStartSecondsFromOptionsAndConfiguration) {
  folder_.write("given.toml", "[job]\n  start_seconds = 7.5  # s\n");
  const auto seconds = [&](const std::string& arguments) {
    return shell("bash -c '. launch/run_job.sh; start_seconds " + arguments + "'").out;
  };
  EXPECT_EQ(seconds("job.toml"), "120\n");
  EXPECT_EQ(seconds("given.toml --steps 3"), "7.5\n");
  EXPECT_EQ(seconds("given.toml --set job.start_seconds=2"), "2\n");
}

TEST_F(ReadyScripts, QuickstartPrintsACommandThatGoesOnWithOtherRanks) {
  // The whole script except for installing and building, on less data.
  write_script("cmake", "");
  write_script("launch/install-dependencies.sh", "");
  write_script("build/release/bin/keyshard",
               fmt::format("if [ \"$1\" = generate ]; then set -- \"$@\" --records 20000; fi\n"
                           "exec {} \"$@\"\n",
                           KEYSHARD_PROGRAM));
  const Ending quickstart = shell("env PATH=\"$PWD:$PATH\" launch/quickstart.sh");
  ASSERT_EQ(quickstart.code, kExitDone) << quickstart.error;
  const std::string title = "On, with other ranks";
  const std::size_t begin = quickstart.out.find(title) + title.size(),
                    end = quickstart.out.find("Several nodes", begin);
  ASSERT_NE(end, std::string::npos) << quickstart.out;
  const std::string command = quickstart.out.substr(begin, end - begin);
  EXPECT_NE(command.find("-n 1 "), std::string::npos) << command;

  folder_.write("printed.sh", command);
  const Ending resumed = shell("sh -e printed.sh");
  EXPECT_EQ(resumed.code, kExitDone) << resumed.error;
  EXPECT_EQ(count(resumed.out, "resumed from build/quickstart/out/checkpoints/step-"), 1u)
      << resumed.out;
  EXPECT_NE(digest_in(resumed.out), digest_in(quickstart.out));
}

}  // namespace
}  // namespace keyshard::testing
