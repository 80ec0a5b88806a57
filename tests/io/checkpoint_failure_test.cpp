#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "runtime/error.hpp"
#include "tests/io/checkpoint_fixture.hpp"
#include "tests/io/passing_file_system.hpp"
#include "tests/support/small_disk.hpp"

namespace keyshard::testing {
namespace {

/// The local file system, whose n-th call fails (from 0; negative: none). Counts the calls of all
/// ranks.
class FailingFileSystem final : public PassingFileSystem {
 public:
  explicit FailingFileSystem(std::int64_t failing = -1) : failing_(failing) {}

  std::int64_t calls() const { return calls_; }

  /// Called in front of every sync, where it is set.
  std::function<void()> before_sync;

  void sync(const std::string& path) override {
    if (before_sync) {
      before_sync();
    }
    PassingFileSystem::sync(path);
  }

 private:
  void pass(const std::string& path) override {
    require(calls_++ != failing_, Kind::io, "{}: failed on purpose", path);
  }

  std::int64_t failing_;
  std::atomic<std::int64_t> calls_{0};
};

/// Saves on all ranks; returns the error, or else what could not be removed, which must be the same
/// on all ranks, or "". A save that throws has not committed its step.
std::string error_of_save(FileSystem& files, const std::string& folder, const TestState& state,
                          int ranks) {
  std::vector<std::string> errors(static_cast<std::size_t>(ranks));
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    try {
      CheckpointWriter writer(files, folder, communicator, stream);
      writer.save(state.content(communicator.rank(), ranks), {1, -1});
      errors[static_cast<std::size_t>(communicator.rank())] = writer.not_removed();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::io) << error.text();
      errors[static_cast<std::size_t>(communicator.rank())] = error.text();
    }
  });
  for (const std::string& error : errors) {
    EXPECT_EQ(error, errors[0]);
  }
  return errors[0];
}

/// Expects that the last checkpoint of `folder` is whole, and that `folder` contains nothing but
/// committed checkpoints.
void expect_only_whole(const std::string& folder) {
  for (const std::string& name : names_in(folder)) {
    EXPECT_EQ(name.find(".tmp-"), std::string::npos) << name;
    EXPECT_EQ(name.find(".probe-"), std::string::npos) << name;
    EXPECT_EQ(refusal_of(folder + "/" + name), "");
  }
}

TEST(CheckpointFailure, OfAnyCallLeavesTheCheckpointBeforeItAndNoDebrisForLong) {
  constexpr int kRanks = 2;
  FailingFileSystem counting;
  {
    const TestFolder folder;
    ASSERT_EQ(error_of_save(counting, folder.path(), {1, 4, 20}, kRanks), "");
    ASSERT_EQ(error_of_save(counting, folder.path(), {2, 4, 20}, kRanks), "");
  }
  ASSERT_GT(counting.calls(), 40);
  LocalFileSystem files;
  for (std::int64_t n = 0; n < counting.calls() / 2 + 4; ++n) {
    SCOPED_TRACE(n);
    const TestFolder folder;
    ASSERT_EQ(error_of_save(files, folder.path(), {1, 4, 20}, kRanks), "");
    FailingFileSystem failing(n);
    const std::string error = error_of_save(failing, folder.path(), {2, 4, 20}, kRanks);
    if (failing.calls() > n) {
      EXPECT_NE(error.find("failed on purpose"), std::string::npos) << error;
      EXPECT_NE(error.find(folder.path()), std::string::npos) << error;
    }
    // Every committed checkpoint is whole, and there is at least one.
    const std::vector<std::string> names = names_in(folder.path());
    EXPECT_TRUE(std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return (name == "step-000001" || name == "step-000002") && refusal_of(folder / name).empty();
    }));
    ASSERT_EQ(error_of_save(files, folder.path(), {3, 4, 20}, kRanks), "");
    expect_only_whole(folder.path());
    EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"step-000003"});
  }
}

TEST(CheckpointFailure, OfAnyCallWhileReplacingLeavesOneOrTheOther) {
  LocalFileSystem files;
  for (std::int64_t n = 0;; ++n) {
    SCOPED_TRACE(n);
    const TestFolder folder;
    ASSERT_EQ(error_of_save(files, folder.path(), {1, 4, 20}, 1), "");
    FailingFileSystem failing(n);
    error_of_save(failing, folder.path(), {1, 4, 30}, 1);
    EXPECT_EQ(refusal_of(folder / "step-000001"), "");
    if (failing.calls() <= n) {
      break;
    }
  }
}

TEST(CheckpointFailure, ASaveThatHasBegunIsNoCheckpointBeforeItIsFinished) {
  const TestFolder folder;
  LocalFileSystem local;
  TestState first{1, 4, 20}, second{2, 4, 20};
  save(local, folder.path(), first, 1);
  std::promise<void> disk;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    FailingFileSystem files;
    CheckpointWriter writer(files, folder.path(), communicator, stream);
    files.before_sync = [written = disk.get_future().share()] { written.wait(); };
    writer.begin(second.content(0, 1), {1, -1});  // the content is gone by the end of this line
    EXPECT_TRUE(writer.pending());
    EXPECT_FALSE(writer.advance());
    const std::vector<std::string> names = names_in(folder.path());
    ASSERT_EQ(names.size(), 2u);
    EXPECT_EQ(names[0], "step-000001");
    EXPECT_TRUE(names[1].starts_with("step-000002.tmp-")) << names[1];
    EXPECT_THROW(writer.begin(second.content(0, 1), {1, -1}), Error);

    disk.set_value();
    while (!writer.advance()) {
      std::this_thread::yield();
    }
    EXPECT_FALSE(writer.pending());
    EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"step-000002"});
    EXPECT_THROW(writer.advance(), Error);
    EXPECT_THROW(writer.finish(), Error);
  });
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"step-000002"});
  EXPECT_EQ(refusal_of(folder / "step-000002"), "");
}

TEST(CheckpointFailure, ASaveThatIsNeverFinishedLeavesTheCheckpointBeforeIt) {
  const TestFolder folder;
  LocalFileSystem files;
  save(files, folder.path(), {1, 4, 20}, 2);
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    CheckpointWriter writer(files, folder.path(), communicator, stream);
    writer.begin(TestState{2, 4, 20}.content(communicator.rank(), 2), {1, -1});
  });
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"step-000001"});
  EXPECT_EQ(refusal_of(folder / "step-000001"), "");
}

TEST(CheckpointFailure, AWriterThatEndsDuringACommitWaitsForIt) {
  const TestFolder folder;
  FailingFileSystem files;
  files.before_sync = [] { std::this_thread::sleep_for(std::chrono::milliseconds(50)); };
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    CheckpointWriter writer(files, folder.path(), communicator, stream);
    writer.begin(TestState{2, 4, 20}.content(communicator.rank(), 2), {1, -1});
    std::int64_t has_its_name = 0;  // then the commit waits for the disk
    while (has_its_name == 0) {
      ASSERT_FALSE(writer.advance());
      has_its_name = std::filesystem::exists(folder / "step-000002") ? 1 : 0;
      communicator.all_reduce(Span<std::int64_t>(&has_its_name, 1), Reduction::min);
    }
  });
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"step-000002"});
  EXPECT_EQ(refusal_of(folder / "step-000002"), "");
}

/// The number of files of a folder, removed files too, that this process has open.
int open_files_in(const std::string& folder) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone);
    count += target.starts_with(folder) ? 1 : 0;
  }
  return count;
}

TEST(CheckpointFailure, OfAFullDiskAtAnyPointLeavesTheCheckpointBeforeIt) {
  const TestState state{1, 4, 4000};
  const std::int64_t step = 16 << 10;
  LocalFileSystem files;
  int failed = 0;
  bool fitted = false;
  for (std::int64_t room = 112 << 10; !fitted && room < (2 << 20); room += step) {
    SCOPED_TRACE(room);
    const TestFolder folder;
    const SmallDisk disk(folder / "disk", room);
    if (!disk.mounted()) {
      GTEST_SKIP() << "needs to mount a tmpfs: run as root";
    }
    const std::string path = folder / "disk/checkpoints";
    TestState first = state;
    first.keys = 100;
    ASSERT_EQ(error_of_save(files, path, first, 2), "");
    TestState second = state;
    second.step = 2;
    const std::string error = error_of_save(files, path, second, 2);
    if (error.empty()) {
      fitted = true;
      EXPECT_EQ(refusal_of(path + "/step-000002"), "");
    } else {
      ++failed;
      EXPECT_NE(error.find(path), std::string::npos) << error;
      EXPECT_EQ(refusal_of(path + "/step-000001"), "");
      EXPECT_EQ(names_in(path), std::vector<std::string>{"step-000001"});
      EXPECT_EQ(open_files_in(path), 0);
      // The job goes on: a later save that fits succeeds.
      TestState third = first;
      third.step = 3;
      EXPECT_EQ(error_of_save(files, path, third, 2), "");
    }
  }
  EXPECT_TRUE(fitted);
  EXPECT_GT(failed, 3);
}

}  // namespace
}  // namespace keyshard::testing
