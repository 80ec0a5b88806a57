// A process as one rank of a job: exit codes, how errors are shown, and the refusal of ranks that
// were started differently.
#include "launch/process.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "launch/stop_signal.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::run_ranks;
using testing::ScratchFolder;

constexpr std::array<const char*, 4> kRankNames{"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK",
                                                "SLURM_PROCID"};

/// Removes the environment variables of a launcher, and restores them at the end.
class NoLauncher {
 public:
  NoLauncher() {
    for (const char* name : kRankNames) {
      const char* value = std::getenv(name);
      before_.emplace_back(value == nullptr ? "" : value);
      unsetenv(name);
    }
  }

  ~NoLauncher() {
    for (std::size_t i = 0; i < kRankNames.size(); ++i) {
      before_[i].empty() ? unsetenv(kRankNames[i]) : setenv(kRankNames[i], before_[i].c_str(), 1);
    }
  }

  NoLauncher(const NoLauncher&) = delete;
  NoLauncher& operator=(const NoLauncher&) = delete;

 private:
  std::vector<std::string> before_;
};

TEST(LaunchedRank, IsWhatAnyLauncherSaysAndElseZero) {
  const NoLauncher nothing;
  EXPECT_EQ(launched_rank(), 0);
  int rank = 3;
  for (const char* name : kRankNames) {
    setenv(name, std::to_string(rank).c_str(), 1);
    EXPECT_EQ(launched_rank(), rank) << name;
    unsetenv(name);
    ++rank;
  }
}

Error error_of(Kind kind, const char* text = "x") { return Error(kind, text, "io/a.cpp", 7); }

TEST(ExitCode, IsThatOfTheKindOfError) {
  const std::vector<std::pair<Kind, int>> codes{{Kind::invalid_argument, 2},
                                                {Kind::bad_input, 2},
                                                {Kind::not_built, 2},
                                                {Kind::corrupt_data, 3},
                                                {Kind::out_of_memory, 1},
                                                {Kind::communication, 1},
                                                {Kind::io, 1},
                                                {Kind::non_finite, 1},
                                                {Kind::other_bits, 1}};
  for (const auto& [kind, code] : codes) {
    EXPECT_EQ(exit_code_of(error_of(kind)), code) << static_cast<int>(kind);
  }
  EXPECT_EQ(exit_code_of(std::runtime_error("x")), 1);
  EXPECT_EQ(exit_code_of(std::bad_alloc()), 1);
}

/// What is shown of an error by a rank.
std::string shown(const std::exception& error, int rank = 0, int ranks = 1) {
  ::testing::internal::CaptureStderr();
  show_error(error, rank, ranks);
  return ::testing::internal::GetCapturedStderr();
}

TEST(ShowError, OfTheUsersHasNoPlaceInTheSource) {
  for (const Kind kind : {Kind::invalid_argument, Kind::bad_input, Kind::not_built,
                          Kind::corrupt_data, Kind::non_finite, Kind::other_bits}) {
    EXPECT_EQ(shown(error_of(kind, "a.csv:3: no")), "error: a.csv:3: no\n");
  }
}

TEST(ShowError, OfOursHasItsPlaceInTheSource) {
  for (const Kind kind : {Kind::io, Kind::out_of_memory, Kind::communication}) {
    EXPECT_EQ(shown(error_of(kind, "no space")), "error: io/a.cpp:7: no space\n");
  }
  EXPECT_EQ(shown(std::runtime_error("other")), "error: other\n");
}

TEST(ShowError, NamesTheRankWhereThereAreSeveralInEveryLine) {
  EXPECT_EQ(shown(error_of(Kind::bad_input, "first\nsecond"), 0, 2),
            "error: rank 0: first\nerror: rank 0: second\n");
}

TEST(ShowError, NamesTheRankThatAVoteHasFoundOnce) {
  EXPECT_EQ(shown(error_of(Kind::bad_input, "rank 1: first"), 0, 2), "error: rank 1: first\n");
  EXPECT_EQ(shown(error_of(Kind::bad_input, "rank 0: first"), 0, 1), "error: first\n");
}

TEST(ShowError, WritesWhatCouldSteerATerminalAsNumbers) {
  EXPECT_EQ(shown(error_of(Kind::bad_input, "a\x1b[2J\x07\r\xff\xc2\x9b \xc3\xa9\xe2\x82\xac")),
            "error: a\\x1b[2J\\x07\\x0d\\xff\\xc2\\x9b \xc3\xa9\xe2\x82\xac\n");
}

TEST(ShowError, LeavesWhatAPeerHasCausedToThePeer) {
  EXPECT_EQ(shown(error_of(Kind::communication, "rank 2 has failed: no space")), "");
  EXPECT_NE(shown(error_of(Kind::io, "rank 2.h5: no space")), "");
}

JobConfig config_with(const std::string& key, std::int64_t value) {
  JobConfig config;
  config.values["job.seed"] = {std::int64_t{1}, ""};
  config.values[key] = {value, ""};
  return config;
}

TEST(CheckSameConfig, AcceptsRanksThatAreStartedAlike) {
  run_ranks(3, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    EXPECT_NO_THROW(check_same_config(communicator, config_with("job.steps", 5), {}));
  });
}

TEST(CheckSameConfig, NamesTheRanksAndWhatDiffersOnAll) {
  std::atomic<int> refused = 0;
  run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    const std::int64_t steps = communicator.rank() == 2 ? 6 : 5;
    try {
      check_same_config(communicator, config_with("job.steps", steps), {});
    } catch (const Error& error) {
      ++refused;
      EXPECT_EQ(error.kind(), Kind::invalid_argument);
      EXPECT_EQ(error.text().find("expected the same configuration on all ranks: ranks 0 and 2 "
                                  "have \"job.steps"),
                0u)
          << error.text();
      EXPECT_NE(error.text().find('5'), std::string::npos);
      EXPECT_NE(error.text().find('6'), std::string::npos);
    }
  });
  EXPECT_EQ(refused, 3);
}

TEST(CheckSameConfig, ComparesTheOptionsOfTheCommandLineToo) {
  std::atomic<int> refused = 0;
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    ResolvedSettings options;
    options["--resume"] = {std::string(communicator.rank() == 0 ? "none" : "latest"), ""};
    try {
      check_same_config(communicator, config_with("job.steps", 5), options);
    } catch (const Error& error) {
      ++refused;
      EXPECT_NE(error.text().find("--resume"), std::string::npos) << error.text();
    }
  });
  EXPECT_EQ(refused, 2);
}

TEST(CheckSameNumerics, AcceptsRanksOfOneProcess) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    EXPECT_NO_THROW(check_same_numerics(communicator));
  });
}

TEST(WatchRanks, WatchesNobodyWhereThereIsOneRankOrNoLimit) {
  StartWatch start(60);  // of no rank that a launcher has started
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    EXPECT_EQ(watch_ranks(communicator, 60, start), nullptr);
  });
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    EXPECT_EQ(watch_ranks(communicator, 0, start), nullptr);
    EXPECT_NE(watch_ranks(communicator, 60, start), nullptr);
  });
}

TEST(ThreadsOf, AreThoseOfTheConfigurationOrAtLeastOne) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    JobConfig config;
    config.job.threads = 7;
    EXPECT_EQ(threads_of(communicator, config), 7);
    config.job.threads = 0;
    EXPECT_GE(threads_of(communicator, config), 1);
  });
}

TEST(Configure, OptionsOfTheCommandLineWinOverTheFile) {
  const ScratchFolder folder;
  JobCommand command;
  command.config = folder.write("job.toml",
                                "config_version = 1\n[job]\noutput = \"a\"\nthreads = 2\n"
                                "[data]\nformat = \"generated\"\n[model]\ntype = \"logistic\"\n");
  JobConfig config = configure(command);
  EXPECT_EQ(config.job.output, folder.path("a"));
  EXPECT_EQ(config.job.threads, 2);
  EXPECT_EQ(config.data.index_folder, folder.path("a"));

  command.output = "b";
  command.threads = 0;
  command.assignments = {"job.epochs=4"};
  config = configure(command);
  EXPECT_EQ(config.job.output, "b");
  EXPECT_EQ(config.data.index_folder, "b");
  EXPECT_EQ(config.job.threads, 0);
  EXPECT_EQ(config.job.epochs, 4);
  EXPECT_EQ(std::get<std::string>(config.values.at("job.output").value), "b");
  EXPECT_EQ(std::get<std::int64_t>(config.values.at("job.epochs").value), 4);
}

TEST(ChooseDevice, IsTheCpuWhereThereIsNoGpuAndRefusesAGpuThere) {
  ::setenv("CUDA_VISIBLE_DEVICES", "", 1);
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    JobCommand command;
    EXPECT_EQ(choose_device(command, communicator).cuda, -1);
    command.device = "cuda";
    try {
      choose_device(command, communicator);
      ADD_FAILURE() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::not_built);
      EXPECT_TRUE(error.text().starts_with("--device cuda: expected a GPU on every machine"))
          << error.text();
    }
  });
}

TEST(StopSignals, ReachNoThreadThatComputes) {
  const auto blocked = [](int signal) {
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    return sigismember(&mask, signal) == 1;
  };
  std::thread([&] {
    EXPECT_FALSE(blocked(SIGTERM));
    take_stop_signals_on_own_thread();
    EXPECT_TRUE(blocked(SIGTERM) && blocked(SIGUSR1) && blocked(SIGHUP));
    std::thread([&] { EXPECT_TRUE(blocked(SIGTERM)); }).join();
  }).join();
}

// The last test of this file, because a process never forgets such a signal.
TEST(StopSignals, AreNotedFromTheWatchOnAndEndNothing) {
  watch_stop_signals();
  EXPECT_FALSE(stop_requested());
  std::raise(SIGUSR1);
  EXPECT_TRUE(stop_requested());
  std::raise(SIGTERM);
  EXPECT_TRUE(stop_requested());
  std::raise(SIGHUP);
  EXPECT_TRUE(stop_requested());
}

}  // namespace
}  // namespace keyshard
