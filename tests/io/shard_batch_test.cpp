// Shards of a table in memory: how a run of shards is cut, and where each column of each shard
// lies.
#include "io/shard_batch.hpp"

#include <cstring>
#include <random>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

constexpr std::int64_t kBatchBytes = std::int64_t{16} << 20;

TableShape table_of(std::vector<ColumnShape> columns) { return {"table", std::move(columns), {}}; }

/// A row of 8 bytes for the key, 12 and 16.
TableShape small_table() {
  return table_of({{"values/v", ElementType::f32, 3}, {"state/v/m", ElementType::f64, 2}});
}

TEST(FileColumns, AreTheKeysAndThenThoseOfTheTable) {
  const std::vector<ColumnShape> columns = file_columns(small_table());

  ASSERT_EQ(columns.size(), 3u);
  EXPECT_EQ(columns[0], (ColumnShape{"keys", ElementType::u64, 1}));
  EXPECT_EQ(columns[1].name, "values/v");
  EXPECT_EQ(columns[2].name, "state/v/m");
}

TEST(FileShape, HasNoWidthForKeys) {
  EXPECT_EQ(file_shape({"keys", ElementType::u64, 1}, 9), std::vector<std::int64_t>{9});
  EXPECT_EQ(file_shape({"values/v", ElementType::f32, 3}, 9), (std::vector<std::int64_t>{9, 3}));
  EXPECT_EQ(file_shape({"values/w", ElementType::f32, 1}, 9), (std::vector<std::int64_t>{9, 1}));
}

TEST(BatchesOf, AreRunsOfAtMostTheirBytesOrOfOneShard) {
  const TableShape table = small_table();
  constexpr std::int64_t kRowBytes = 8 + 12 + 16;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(seed);
    const std::int64_t first = random() % 1000, count = 1 + random() % 40;
    std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
    for (std::int64_t& shard : rows) {
      shard = random() % 5 == 0 ? 600'000 : random() % 200'000;  // some are too large alone
    }
    const std::vector<Range> batches = batches_of(table, {first, first + count}, rows, kBatchBytes);
    std::int64_t next = first;
    for (const Range batch : batches) {
      ASSERT_EQ(batch.begin, next) << "seed " << seed;
      ASSERT_GT(batch.size(), 0);
      std::int64_t bytes = 0;
      for (std::int64_t shard = batch.begin; shard < batch.end; ++shard) {
        bytes += rows[static_cast<std::size_t>(shard - first)] * kRowBytes;
      }
      ASSERT_TRUE(bytes <= kBatchBytes || batch.size() == 1) << "seed " << seed;
      next = batch.end;
    }
    ASSERT_EQ(next, first + count) << "seed " << seed;
  }
}

TEST(BatchesOf, TakesAsManyShardsAsFit) {
  // Keys alone: 8 bytes a row. A shard of 1 MiB: sixteen of them are a batch.
  const std::vector<std::int64_t> rows(33, (std::int64_t{1} << 20) / 8);

  EXPECT_EQ(batches_of(table_of({}), {5, 38}, rows, kBatchBytes),
            (std::vector<Range>{{5, 21}, {21, 37}, {37, 38}}));
}

TEST(BatchesOf, OfNoShardsAreNone) {
  EXPECT_TRUE(batches_of(small_table(), {7, 7}, {}, kBatchBytes).empty());
}

/// Writes a number of its own into every element of every column of every shard.
void number_all(ShardBatch& batch) {
  for (std::int64_t shard = batch.shards().begin; shard < batch.shards().end; ++shard) {
    for (std::int64_t row = 0; row < batch.rows_of(shard); ++row) {
      batch.keys_of(shard)[static_cast<std::size_t>(row)] = static_cast<Key>(shard * 1000 + row);
      for (std::int64_t d = 0; d < 3; ++d) {
        const auto value = static_cast<float>(shard * 1000 + row * 10 + d);
        std::memcpy(batch.column(1, shard) + (row * 3 + d) * 4, &value, 4);
      }
      for (std::int64_t d = 0; d < 2; ++d) {
        const auto value = static_cast<double>(shard * 1000 + row * 10 + d);
        std::memcpy(batch.column(2, shard) + (row * 2 + d) * 8, &value, 8);
      }
    }
  }
}

template <class T>
T element(const std::byte* column, std::int64_t i) {
  T value;
  std::memcpy(&value, column + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

TEST(ShardBatch, EveryColumnLiesInOnePieceOverAllShards) {
  Stream<Cpu> stream;
  ShardBatch batch;
  const std::vector<std::int64_t> rows{2, 0, 3};
  batch.reset(stream, small_table(), {4, 7}, rows);
  number_all(batch);

  EXPECT_EQ(batch.rows(), 5);
  EXPECT_EQ(batch.rows_of(4), 2);
  EXPECT_EQ(batch.rows_of(5), 0);
  EXPECT_EQ(batch.rows_of(6), 3);
  const std::vector<std::int64_t> shards{4, 4, 6, 6, 6}, row_of{0, 1, 0, 1, 2};
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    EXPECT_EQ(element<Key>(batch.column(0), at), static_cast<Key>(shards[i] * 1000 + row_of[i]));
    EXPECT_EQ(element<float>(batch.column(1), at * 3 + 2),
              static_cast<float>(shards[i] * 1000 + row_of[i] * 10 + 2));
    EXPECT_EQ(element<double>(batch.column(2), at * 2 + 1),
              static_cast<double>(shards[i] * 1000 + row_of[i] * 10 + 1));
  }
}

TEST(ShardBatch, ColumnsAreAlignedForTheirElements) {
  Stream<Cpu> stream;
  ShardBatch batch;
  const std::vector<std::int64_t> rows{1, 2};
  batch.reset(stream, table_of({{"a", ElementType::u8, 1}, {"b", ElementType::f64, 1}}), {0, 2},
              rows);

  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(batch.column(2)) % 8, 0u);
}

TEST(ShardBatch, GivesTheColumnsOfAShardWithoutItsKeys) {
  Stream<Cpu> stream;
  ShardBatch batch;
  const std::vector<std::int64_t> rows{2, 1};
  batch.reset(stream, small_table(), {0, 2}, rows);
  const std::vector<std::byte*> columns = batch.columns_of(1);

  ASSERT_EQ(columns.size(), 2u);
  EXPECT_EQ(columns[0], batch.column(1) + 2 * 12);
  EXPECT_EQ(columns[1], batch.column(2) + 2 * 16);
}

TEST(ShardBatch, DigestsAreThoseOfTheBytesOfEachColumnOfTheShard) {
  Stream<Cpu> stream;
  ShardBatch batch;
  const std::vector<std::int64_t> rows{2, 3};
  batch.reset(stream, small_table(), {0, 2}, rows);
  number_all(batch);

  const std::vector<Key> keys{1000, 1001, 1002};
  const std::vector<float> values{1000, 1001, 1002, 1010, 1011, 1012, 1020, 1021, 1022};
  const std::vector<double> states{1000, 1001, 1010, 1011, 1020, 1021};
  EXPECT_EQ(batch.digest(1, 0), digest_of(keys.data(), 24));
  EXPECT_EQ(batch.digest(1, 1), digest_of(values.data(), 36));
  EXPECT_EQ(batch.digest(1, 2), digest_of(states.data(), 48));
}

TEST(ShardBatch, MayBecomeOtherShardsOfAnotherTable) {
  Stream<Cpu> stream;
  ShardBatch batch;
  const std::vector<std::int64_t> large{500}, small{1, 1, 1};
  batch.reset(stream, small_table(), {0, 1}, large);
  batch.reset(stream, table_of({}), {9, 12}, small);
  for (std::int64_t shard = 9; shard < 12; ++shard) {
    batch.keys_of(shard)[0] = static_cast<Key>(shard);
  }

  EXPECT_EQ(batch.columns().size(), 1u);
  EXPECT_EQ(batch.rows(), 3);
  EXPECT_EQ(element<Key>(batch.column(0), 2), 11u);
  EXPECT_EQ(batch.shards(), (Range{9, 12}));
}

TEST(ShardBatch, OfNoShardsHasNoRows) {
  Stream<Cpu> stream;
  ShardBatch batch;
  batch.reset(stream, small_table(), {}, {});

  EXPECT_EQ(batch.rows(), 0);
}

}  // namespace
}  // namespace keyshard
