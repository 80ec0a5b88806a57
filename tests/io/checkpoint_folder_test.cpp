// Names in a folder of checkpoints: which are committed, which is the newest, which are debris.
#include "io/checkpoint_folder.hpp"

#include <atomic>
#include <mutex>
#include <set>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/io/checkpoint_fixture.hpp"

namespace keyshard {
namespace {

using testing::names_in;
using testing::run_ranks;
using testing::TestFolder;

TEST(StepName, HasSixDigitsAtLeast) {
  EXPECT_EQ(step_name(0), "step-000000");
  EXPECT_EQ(step_name(123), "step-000123");
  EXPECT_EQ(step_name(999'999), "step-999999");
  EXPECT_EQ(step_name(12'345'678), "step-12345678");
}

TEST(StepOf, UndoesTheName) {
  for (const std::int64_t step :
       {std::int64_t{0}, std::int64_t{7}, std::int64_t{999'999}, std::int64_t{1'000'000},
        std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_EQ(step_of(step_name(step)), step);
  }
}

TEST(StepOf, IsNothingForAnyOtherName) {
  for (const char* name :
       {"", "step-", "step-1", "step-00001", "step-0000001", "step-000001.tmp-1", "step-000001 ",
        " step-000001", "Step-000001", "step--00001", "step-+00001", "step-00000x", "step-000001/",
        "rank-000001", "step-99999999999999999999"}) {
    EXPECT_EQ(step_of(name), std::nullopt) << name;
  }
}

TEST(CommittedSteps, AreThoseOfFoldersByTheirNumber) {
  const TestFolder folder;
  LocalFileSystem files;
  for (const std::int64_t step : {1'000'000, 999'999, 20, 3}) {
    files.make_folder(folder / step_name(step));
  }
  files.make_folder(folder / "step-000500.tmp-1");
  files.make_folder(folder / "other");
  files.write_new(folder / "step-7", "");

  EXPECT_EQ(committed_steps(files, folder.path()),
            (std::vector<std::int64_t>{3, 20, 999'999, 1'000'000}));
}

TEST(CommittedSteps, AreNoneWhereThereIsNoFolder) {
  const TestFolder folder;
  LocalFileSystem files;

  EXPECT_TRUE(committed_steps(files, folder / "none").empty());
  EXPECT_TRUE(committed_steps(files, folder.path()).empty());
}

TEST(CommittedSteps, RefuseAFileOfTheirName) {
  const TestFolder folder;
  LocalFileSystem files;
  files.write_new(folder / step_name(4), "");
  try {
    committed_steps(files, folder.path());
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::corrupt_data);
    EXPECT_EQ(error.text(),
              (folder / step_name(4)) + ": expected a folder: found a file or a symbolic link");
  }
}

TEST(LatestCheckpoint, IsTheSameOnAllRanksAndEmptyWhereThereIsNone) {
  const TestFolder folder;
  LocalFileSystem files;
  const auto expect_latest = [&](const std::string& expected) {
    run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
      EXPECT_EQ(latest_checkpoint(files, folder.path(), communicator), expected);
    });
  };

  expect_latest("");
  files.make_folder(folder / step_name(999'999));
  files.make_folder(folder / step_name(1'000'000));
  files.make_folder(folder / "step-2000000.tmp-5");
  expect_latest(folder / "step-1000000");
}

TEST(LatestCheckpoint, FailsOnAllRanksWhereRankZeroCannotLook) {
  const TestFolder folder;
  LocalFileSystem files;
  files.write_new(folder / step_name(4), "");
  std::atomic<int> refused = 0;
  run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    try {
      latest_checkpoint(files, folder.path(), communicator);
    } catch (const Error&) {
      ++refused;
    }
  });
  EXPECT_EQ(refused, 3);
}

TEST(RemoveDebris, LeavesCommittedCheckpointsAndForeignNames) {
  const TestFolder folder;
  LocalFileSystem files;
  for (const char* name : {"step-000001", "step-000002.tmp-9-9", "step-000001.tmp-removed", "notes",
                           "notes.tmp-1", "step-000003"}) {
    files.make_folder(folder / name);
  }
  files.write_new(folder / "step-000002.tmp-9-9/rank", "x");
  files.write_new(folder / ".probe-1", "");
  remove_debris(files, folder.path());

  EXPECT_EQ(names_in(folder.path()),
            (std::vector<std::string>{"notes", "notes.tmp-1", "step-000001", "step-000003"}));
}

TEST(RemoveCheckpoint, TakesOneAndAllThatIsInIt) {
  const TestFolder folder;
  LocalFileSystem files;
  files.make_folder(folder / step_name(1));
  files.make_folder(folder / step_name(2));
  files.write_new(folder / "step-000001/manifest.json", "x");
  remove_checkpoint(files, folder.path(), 1);

  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"step-000002"});
}

TEST(RemoveCheckpoint, OfAStepThatIsNotThereIsSaid) {
  const TestFolder folder;
  LocalFileSystem files;
  EXPECT_THROW(remove_checkpoint(files, folder.path(), 1), Error);
}

TEST(RequireSameFolder, MakesItClearsItAndLeavesNothing) {
  const TestFolder folder;
  LocalFileSystem files;
  files.make_folders(folder / "job/checkpoints/step-000001.tmp-1");
  run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    require_same_folder(files, folder / "job/checkpoints", communicator);
  });
  EXPECT_TRUE(names_in(folder / "job/checkpoints").empty());

  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    require_same_folder(files, folder / "new/one", communicator);
  });
  EXPECT_TRUE(names_in(folder / "new/one").empty());
}

TEST(UniqueSuffix, IsTheSameOnAllRanksAndAnotherOneEveryTime) {
  std::mutex mutex;
  std::multiset<std::string> seen;
  run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    for (int i = 0; i < 4; ++i) {
      const std::string suffix = unique_suffix(communicator);
      const std::lock_guard lock(mutex);
      seen.insert(suffix);
    }
  });
  EXPECT_EQ(seen.size(), 12u);
  EXPECT_EQ((std::set<std::string>(seen.begin(), seen.end()).size()), 4u);
}

}  // namespace
}  // namespace keyshard
