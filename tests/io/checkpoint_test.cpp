#include <gtest/gtest.h>

#include "io/checkpoint_folder.hpp"
#include "runtime/error.hpp"
#include "tests/io/checkpoint_fixture.hpp"

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
    }
  }
}

TEST(Checkpoint, OfManyBatchesOfShardsLoadsAsItWasSaved) {
  // 2^20 rows of 36 bytes and half as many of 20: several batches of 16 MiB.
  const TestState state{9, 64, 1 << 20};
  const TestFolder folder;
  LocalFileSystem files;
  const auto source = [&](CheckpointContent& content, std::vector<std::vector<Key>>& keys) {
    for (std::int64_t shard = 0; shard < state.shards; ++shard) {
      keys.emplace_back();
    }
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(state.keys); ++i) {
      keys[i % keys.size()].push_back(i * 977);
    }
    content.step = state.step;
    content.shards = state.shards;
    content.tables.resize(1);
    content.tables[0].shape = {"t", {{"values", ElementType::u64, 4}}, {}};
    for (const auto& of_shard : keys) {
      content.tables[0].rows.push_back(static_cast<std::int64_t>(of_shard.size()));
    }
    content.tables[0].copy = [&keys](std::int64_t shard, Span<Key> out,
                                     const std::vector<std::byte*>& columns) {
      const auto& of_shard = keys[static_cast<std::size_t>(shard)];
      std::copy(of_shard.begin(), of_shard.end(), out.begin());
      auto* values = reinterpret_cast<std::uint64_t*>(columns[0]);
      for (const Key key : of_shard) {
        for (std::uint64_t j = 0; j < 4; ++j) {
          *values++ = key + j;
        }
      }
    };
  };
  run_ranks(1, 3, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    CheckpointContent content;
    std::vector<std::vector<Key>> keys;
    source(content, keys);
    const CheckpointTimes times =
        CheckpointWriter(files, folder.path(), communicator, stream).save(content, {});
    EXPECT_GT(times.bytes, state.keys * 40);
    EXPECT_GT(times.total, 0);
  });
  run_ranks(3, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    CheckpointReader reader(files, folder / "step-000009", communicator, stream);
    reader.read_table("t", [&](std::int64_t shard, Span<const Key> keys,
                               const std::vector<const std::byte*>& columns) {
      ASSERT_EQ(static_cast<std::int64_t>(keys.size()), state.keys / state.shards);
      const auto* values = reinterpret_cast<const std::uint64_t*>(columns[0]);
      for (std::size_t i = 0; i < keys.size(); ++i) {
        ASSERT_EQ(keys[i], (static_cast<std::uint64_t>(shard) + i * 64) * 977);
        ASSERT_EQ(values[4 * i + 3], keys[i] + 3);
      }
    });
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

}  // namespace
}  // namespace keyshard::testing
