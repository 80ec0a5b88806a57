#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/checkpoint_folder.hpp"
#include "tests/io/checkpoint_fixture.hpp"

namespace keyshard::testing {
namespace {

pid_t start_saver(const std::string& folder, std::int64_t step) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(KEYSHARD_CHECKPOINT_SAVER, KEYSHARD_CHECKPOINT_SAVER, folder.c_str(),
            std::to_string(step).c_str(), nullptr);
    ::_exit(127);
  }
  return child;
}

/// Waits until a checkpoint newer than `step` is committed, for at most some seconds.
void wait_for_save_after(FileSystem& files, const std::string& folder, std::int64_t step) {
  for (int wait = 0; wait < 5000; ++wait) {
    const std::vector<std::int64_t> steps = committed_steps(files, folder);
    if (!steps.empty() && steps.back() > step) {
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST(CheckpointKill, AtAnyMomentLeavesANewestCheckpointThatLoads) {
  const TestFolder folder;
  LocalFileSystem files;
  std::mt19937 random(2026);
  std::int64_t newest = 0;
  int with_debris = 0;
  for (int round = 0; round < 20; ++round) {
    SCOPED_TRACE(round);
    const pid_t child = start_saver(folder.path(), newest + 1);
    wait_for_save_after(files, folder.path(), newest);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 30'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the saver ended by itself: " << status;

    const auto steps = committed_steps(files, folder.path());
    ASSERT_FALSE(steps.empty());
    ASSERT_GT(steps.back(), newest);
    for (const std::int64_t step : steps) {
      EXPECT_EQ(refusal_of(folder / step_name(step)), "");
    }
    newest = steps.back();
    const std::vector<std::string> names = names_in(folder.path());
    with_debris += std::any_of(names.begin(), names.end(), [](const std::string& name) {
      return name.find(".tmp-") != std::string::npos;
    });
  }
  RecordProperty("killed_inside_a_save", with_debris);
  // The next save removes what killed saves have left.
  save(files, folder.path(), {newest + 1, 8, 40}, 2);
  for (const std::string& name : names_in(folder.path())) {
    EXPECT_TRUE(step_of(name) || name == ".lock") << name;
  }
}

}  // namespace
}  // namespace keyshard::testing
