#include <algorithm>
#include <atomic>
#include <numeric>

#include <gtest/gtest.h>

#include "io/checkpoint_folder.hpp"
#include "runtime/error.hpp"
#include "tests/io/checkpoint_fixture.hpp"
#include "tests/io/passing_file_system.hpp"

namespace keyshard::testing {
namespace {

std::string latest(const std::string& folder) {
  std::string path;
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    LocalFileSystem files;
    const std::string found = latest_checkpoint(files, folder, communicator);
    if (communicator.rank() == 1) {
      path = found;
    }
  });
  return path;
}

TEST(Checkpoint, IsReadByAnyNumberOfRanksAsAnyNumberWroteIt) {
  const TestState state;
  LocalFileSystem files;
  for (const int writers : {1, 2, 3, 4, 8}) {
    const TestFolder folder;
    save(files, folder.path(), state, writers);
    for (const int readers : {1, 2, 3, 4, 8}) {
      SCOPED_TRACE(fmt::format("{} writers, {} readers", writers, readers));
      expect_loads(folder / "step-000007", state, readers);
      expect_loads(folder / "step-000007", state, readers, 2, FileCheck::as_read);
    }
  }
}

/// 2^20 rows of 40 bytes over 64 shards: several batches. Key k lies in shard k % 64 and holds k, k
/// + 1, k + 2, k + 3.
struct LargeState {
  static constexpr std::int64_t kShards = 64;
  static constexpr std::int64_t kRowsOfShard = 1 << 14;

  static Key key(std::int64_t shard, std::int64_t i) {
    return static_cast<Key>(i * kShards + shard);
  }

  static CheckpointContent content() {
    TableSource table{{"t", {{"values", ElementType::u64, 4}}, {}}, {}, {}};
    table.rows.assign(kShards, kRowsOfShard);
    table.copy = [](std::int64_t shard, Span<Key> keys, const std::vector<std::byte*>& columns) {
      auto* values = reinterpret_cast<std::uint64_t*>(columns[0]);
      for (std::int64_t i = 0; i < kRowsOfShard; ++i) {
        keys[static_cast<std::size_t>(i)] = key(shard, i);
        std::iota(values + 4 * i, values + 4 * i + 4, key(shard, i));
      }
    };
    CheckpointContent content;
    content.step = 9;
    content.shards = kShards;
    content.tables.push_back(std::move(table));
    return content;
  }
};

TEST(Checkpoint, OfManyBatchesOfShardsLoadsAsItWasSaved) {
  const TestFolder folder;
  LocalFileSystem files;
  run_ranks(1, 3, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const CheckpointTimes times = CheckpointWriter(files, folder.path(), communicator, stream)
                                      .save(LargeState::content(), {});
    EXPECT_GT(times.bytes, LargeState::kShards * LargeState::kRowsOfShard * 40);
    EXPECT_GT(times.total, 0);
  });
  run_ranks(3, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    CheckpointReader reader(files, folder / "step-000009", communicator, stream);
    reader.read_table("t", [&](std::int64_t shard, Span<const Key> keys,
                               const std::vector<const std::byte*>& columns) {
      ASSERT_EQ(keys.size(), LargeState::kRowsOfShard);
      const auto* values = reinterpret_cast<const std::uint64_t*>(columns[0]);
      for (std::int64_t i = 0; i < keys.size(); ++i) {
        ASSERT_EQ(keys[i], LargeState::key(shard, static_cast<std::int64_t>(i)));
        ASSERT_EQ(values[4 * i], keys[i]);
        ASSERT_EQ(values[4 * i + 3], keys[i] + 3);
      }
    });
  });
}

TEST(Checkpoint, WrittenByAnyOwnersLoadsOnAnyRanks) {
  const TestFolder folder;
  LocalFileSystem files;
  for (const std::vector<std::vector<std::int64_t>>& owners :
       {std::vector<std::vector<std::int64_t>>{{2}, {2, 0}, {1}}, {{}, {1, 2, 0}, {}}}) {
    const TestState state{8, 16, 100, owners};
    save(files, folder.path(), state, 3);
    for (const int ranks : {1, 2, 3, 4}) {
      expect_loads(folder / "step-000008", state, ranks);
    }
    open_checkpoint(folder / "step-000008");
  }
}

TEST(Checkpoint, GivesEachRankTheShardsThatItAsksFor) {
  const TestFolder folder;
  LocalFileSystem files;
  const TestState state{8, 16, 100, {{2}, {2, 0}, {1}}};
  save(files, folder.path(), state, 3);
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    CheckpointReader reader(files, folder / "step-000008", communicator, stream);
    // Rank 0 takes shards on both sides of the border between two writers, rank 1 takes none.
    const Range wanted = communicator.rank() == 0 ? Range{5, 11} : Range{};
    std::atomic<std::int64_t> taken = 0;
    reader.read_table(
        state.tables()[1].name, wanted, [&](std::int64_t shard, Span<const Key> keys, auto&) {
          EXPECT_TRUE(wanted.contains(shard));
          EXPECT_EQ(std::vector<Key>(keys.begin(), keys.end()), state.keys_of(1, shard));
          ++taken;
        });
    std::int64_t filled = 0;
    for (std::int64_t shard = wanted.begin; shard < wanted.end; ++shard) {
      filled += !state.keys_of(1, shard).empty();
    }
    EXPECT_EQ(taken, filled);
  });
}

TEST(Checkpoint, NewestIsFoundByItsNumber) {
  const TestFolder folder;
  LocalFileSystem files;
  EXPECT_EQ(latest(folder.path()), "");
  EXPECT_EQ(latest(folder / "nowhere"), "");
  save(files, folder.path(), {1'000'000, 4, 10}, 1);
  save(files, folder.path(), {999'999, 4, 10}, 1);
  EXPECT_EQ(latest(folder.path()), folder / "step-1000000");
}

TEST(Checkpoint, OfTheSameStepIsReplaced) {
  const TestFolder folder;
  LocalFileSystem files;
  save(files, folder.path(), {5, 8, 50}, 2);
  save(files, folder.path(), {5, 8, 90}, 3);
  expect_loads(folder / "step-000005", {5, 8, 90}, 2);
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"step-000005"});
}

TEST(Checkpoint, RetentionKeepsTheNewestAndThePinned) {
  const TestFolder folder;
  LocalFileSystem files;
  for (std::int64_t step = 1; step <= 6; ++step) {
    save(files, folder.path(), {step, 4, 10}, 1, {2, 2});
  }
  EXPECT_EQ(names_in(folder.path()),
            (std::vector<std::string>{"step-000002", "step-000005", "step-000006"}));
}

TEST(Checkpoint, RetentionNeverRemovesWhatWasJustSaved) {
  const TestFolder folder;
  LocalFileSystem files;
  save(files, folder.path(), {20, 4, 10}, 1, {1, -1});
  save(files, folder.path(), {10, 4, 10}, 1, {1, -1});
  EXPECT_EQ(names_in(folder.path()), (std::vector<std::string>{"step-000010", "step-000020"}));
}

TEST(Checkpoint, DebrisOfKilledSavesIsRemovedAtTheStart) {
  const TestFolder folder;
  LocalFileSystem files;
  save(files, folder.path(), {1, 4, 10}, 1);
  files.make_folder(folder / "step-000002.tmp-1-2");
  files.write_new(folder / "step-000002.tmp-1-2/rank-0000-of-0001.h5", "half");
  files.write_new(folder / ".probe-1-2", "");
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const CheckpointWriter writer(files, folder.path(), communicator, stream);
  });
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"step-000001"});
}

TEST(Checkpoint, FoldersThatDifferBetweenRanksAreRefused) {
  const TestFolder one, other;
  LocalFileSystem files;
  EXPECT_THROW(run_ranks(2, 1,
                         [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
                           const std::string path =
                               communicator.rank() == 0 ? one.path() : other.path();
                           const CheckpointWriter writer(files, path, communicator, stream);
                         }),
               Error);
}

TEST(Checkpoint, KeysOutOfOrderFailTheSaveOnAllRanksAndLeaveNothing) {
  const TestFolder folder;
  LocalFileSystem files;
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    CheckpointContent content = TestState{}.content(communicator.rank(), 2);
    if (communicator.rank() == 1) {
      content.tables[0].copy = [](std::int64_t, Span<Key> keys, const std::vector<std::byte*>&) {
        std::fill(keys.begin(), keys.end(), 3);
      };
    }
    CheckpointWriter writer(files, folder.path(), communicator, stream);
    try {
      writer.save(content, {});
      ADD_FAILURE() << "saved";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::invalid_argument);
      EXPECT_NE(error.text().find("rank 1: table user: expected the keys of shard"),
                std::string::npos)
          << error.text();
    }
  });
  EXPECT_TRUE(names_in(folder.path()).empty());
}

TEST(Checkpoint, WhatATakerThrowsIsThrownOnAllRanks) {
  const TestFolder folder;
  LocalFileSystem files;
  save(files, folder.path(), {}, 2);
  run_ranks(3, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    CheckpointReader reader(files, folder / "step-000007", communicator, stream);
    try {
      reader.read_table("user", [&](auto, auto, auto&) {
        require(communicator.rank() != 1, Kind::out_of_memory, "no room");
      });
      ADD_FAILURE() << "loaded";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::out_of_memory);
      EXPECT_EQ(error.text(), "rank 1: no room");
    }
    EXPECT_THROW(reader.read_table("nobody", [](auto, auto, auto&) {}), Error);
    EXPECT_THROW(reader.read_dense("nothing"), Error);
  });
}

/// Counts the bytes that are read from the files of ranks.
class CountingFileSystem final : public PassingFileSystem {
 public:
  std::unique_ptr<OpenFile> open(const std::string& path) override {
    return std::make_unique<File>(PassingFileSystem::open(path),
                                  path.find("/rank-") == std::string::npos ? others_ : bytes);
  }

  std::atomic<std::int64_t> bytes{0};

 private:
  class File final : public OpenFile {
   public:
    File(std::unique_ptr<OpenFile> file, std::atomic<std::int64_t>& bytes)
        : file_(std::move(file)), bytes_(bytes) {}

    std::int64_t read(std::int64_t offset, Span<std::byte> out) const override {
      const std::int64_t got = file_->read(offset, out);
      bytes_ += got;
      return got;
    }

   private:
    std::unique_ptr<OpenFile> file_;
    std::atomic<std::int64_t>& bytes_;
  };

  void pass(const std::string&) override {}

  std::atomic<std::int64_t> others_{0};
};

TEST(Checkpoint, IsReadOnceWhereItIsCheckedAsItIsRead) {
  const TestFolder folder;
  LocalFileSystem local;
  save(local, folder.path(), {}, 3);
  std::int64_t bytes = 0;
  for (const FileEntry& entry : local.list(folder / "step-000007")) {
    bytes += entry.name.starts_with("rank-") ? entry.bytes : 0;
  }
  for (const FileCheck check : {FileCheck::as_read, FileCheck::before}) {
    CountingFileSystem files;
    run_ranks(1, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      CheckpointReader(files, folder / "step-000007", communicator, stream, check).verify();
    });
    if (check == FileCheck::as_read) {
      EXPECT_EQ(files.bytes, bytes);
    } else {
      EXPECT_GT(files.bytes, bytes);
    }
  }
}

}  // namespace
}  // namespace keyshard::testing
