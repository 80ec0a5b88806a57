// Rows that are made, on several threads, against a plain map and the definition of their values.
#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "embedding/rows/row_functors.hpp"
#include "embedding/rows/table.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"
#include "runtime/stream.hpp"
#include "tests/support/counts.hpp"

namespace keyshard {
namespace {

TableOptions options() {
  TableOptions table;
  table.name = "items";
  table.groups = {{"values", 3, Constant{0.5f}, {}, Adagrad{0.1f, 0.25f, 1e-7f, true}, {}}};
  return table;
}

/// Key i of a draw that repeats some keys.
Key drawn(std::uint64_t i) { return mix64(i) % 5000; }

TEST(TableContents, AKeyGetsOneRowHoweverOftenItComes) {
  for (const int threads : testing::thread_counts({1, 2, 3})) {
    Stream<Cpu> stream(threads, 0);
    Table<Cpu> table(options(), {0, kShards});
    std::map<Key, RowId> rows_of;
    std::set<RowId> used;
    for (std::uint64_t call = 0; call < 6; ++call) {
      std::vector<Key> keys;
      for (std::uint64_t i = 0; i < 3000; ++i) {
        keys.push_back(drawn(call * 2000 + i));  // overlaps with the call before
      }
      std::vector<RowId> rows(keys.size());
      table.find_or_insert(stream, keys, rows.data());
      for (std::size_t i = 0; i < keys.size(); ++i) {
        const auto [place, fresh] = rows_of.try_emplace(keys[i], rows[i]);
        EXPECT_EQ(place->second, rows[i]);
        EXPECT_NE(used.insert(rows[i]).second, !fresh);
      }
    }
    EXPECT_EQ(table.size(), static_cast<std::int64_t>(rows_of.size()));
    EXPECT_EQ(*used.rbegin() + 1, rows_of.size()) << "rows are handed out without a gap";
  }
}

TEST(TableContents, FindGivesTheRowsOfItsFunctor) {
  Table<Cpu> table(options(), {0, kShards});
  const auto& partitioner = std::get<HashPartitioner>(table.partitioner());
  KeyIndex<Cpu> index({0, kShards}, 3);
  std::vector<Key> keys;
  Stream<Cpu> one;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    keys.push_back(drawn(i));
  }
  std::vector<RowId> made(2500), expected(keys.size());
  table.find_or_insert(one, Span<const Key>(keys).first(2500), made.data());
  std::set<Key> seen;
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (seen.insert(keys[i]).second) {
      index.insert(keys[i], partitioner.shard(keys[i]), made[i]);
    }
  }
  run_rows(0, 5000,
           FindRow<HashPartitioner>{index.ref(), partitioner, keys.data(), expected.data()});
  for (const int threads : testing::thread_counts({1, 2, 3})) {
    Stream<Cpu> stream(threads, 0);
    std::vector<RowId> found(keys.size());
    table.find(stream, keys, found.data());
    EXPECT_EQ(found, expected) << threads;
  }
  const auto none =
      static_cast<std::ptrdiff_t>(std::count(expected.begin() + 2500, expected.end(), kNoRow));
  EXPECT_GT(none, 0);
  EXPECT_LT(none, 2500);
}

TEST(TableContents, NewRowsHaveInitialValuesAndState) {
  Stream<Cpu> stream(2, 0);
  Table<Cpu> table(options(), {0, kShards});
  const std::vector<Key> keys{7, 8, 7, ~Key{0}};
  std::vector<RowId> rows(keys.size());
  table.find_or_insert(stream, keys, rows.data());
  for (const RowColumn& column : table.columns()) {
    std::vector<float> content(keys.size() * static_cast<std::size_t>(column.width));
    table.copy_column(rows, column, content.data());
    for (const float x : content) {
      EXPECT_EQ(x, column.offset == 0 ? 0.5f : 0.25f);
    }
  }
}

TEST(TableContents, AGradientThatIsNotFiniteNamesKeyTableAndReaders) {
  Stream<Cpu> stream(2, 0);
  Table<Cpu> table(options(), {0, kShards});
  for (const char* feature : {"first_item", "last_item", "first_item"}) {
    table.add_reader(feature);
  }
  const std::vector<Key> keys{7, 8};
  std::vector<RowId> rows(2);
  table.find_or_insert(stream, keys, rows.data());
  std::vector<float> values(6, 1.0f);
  values[4] = std::numeric_limits<float>::infinity();
  table.add(
      {.size = 2, .keys = keys.data(), .rows = rows.data(), .values = values.data(), .keep = {}});
  try {
    table.apply(stream, {});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::non_finite);
    EXPECT_EQ(error.text(),
              "expected finite gradients: found inf for key 8 of table items, read by first_item, "
              "last_item");
  }
  std::vector<float> read(6);
  table.read(stream, keys, rows.data(), false, read.data());
  EXPECT_EQ(read, std::vector<float>(6, 0.5f)) << "no row has changed";
}

TEST(TableContents, AssignSetsRowsOldAndNew) {
  Stream<Cpu> stream(2, 0);
  Table<Cpu> table(options(), {0, kShards});
  const std::vector<Key> keys{1, 2, 3};
  std::vector<RowId> rows(2);
  table.find_or_insert(stream, Span<const Key>(keys).first(2), rows.data());
  const std::vector<float> values{1, 2, 3, 4, 5, 6, 7, 8, 9};
  table.assign(stream, keys, values.data());
  std::vector<float> read(values.size());
  rows.resize(keys.size());
  table.find(stream, keys, rows.data());
  table.read(stream, keys, rows.data(), false, read.data());
  EXPECT_EQ(read, values);
  EXPECT_EQ(table.size(), 3);
}

/// All shards of a table, as checkpoints see them.
struct Shards {
  std::vector<std::vector<Key>> keys;
  std::vector<std::vector<std::vector<float>>> columns;  // of each shard

  explicit Shards(const Table<Cpu>& table) {
    for (std::int64_t shard = 0; shard < kShards; ++shard) {
      const ShardRows rows = table.shard_rows(shard);
      keys.push_back(rows.keys);
      columns.emplace_back();
      for (const RowColumn& column : table.columns()) {
        columns.back().emplace_back(rows.rows.size() * static_cast<std::size_t>(column.width));
        table.copy_column(rows.rows, column, columns.back().back().data());
      }
    }
  }

  void load(Stream<Cpu>& stream, Table<Cpu>& table) const {
    stream.threads().for_tasks(kShards, [&](std::int64_t shard, int) {
      const auto s = static_cast<std::size_t>(shard);
      std::vector<const void*> pointers;
      for (const std::vector<float>& column : columns[s]) {
        pointers.push_back(column.data());
      }
      table.load_shard(shard, keys[s], pointers);
    });
  }
};

/// A table whose row of key k has the values k, k + 1, k + 2.
void fill(Stream<Cpu>& stream, Table<Cpu>& table, const std::vector<Key>& keys) {
  std::vector<float> values;
  for (const Key key : keys) {
    for (const float d : {0.0f, 1.0f, 2.0f}) {
      values.push_back(static_cast<float>(key) + d);
    }
  }
  table.assign(stream, keys, values.data());
}

TEST(TableContents, LeaveShardByShardInTheOrderOfKeys) {
  Stream<Cpu> stream(2, 0);
  Table<Cpu> table(options(), {0, kShards});
  std::vector<Key> keys(100'000);  // about 98 a shard: more than insertion sort takes
  std::iota(keys.begin(), keys.end(), Key{3});
  fill(stream, table, keys);
  const Shards shards(table);
  std::set<Key> found;
  for (std::size_t s = 0; s < shards.keys.size(); ++s) {
    EXPECT_TRUE(std::is_sorted(shards.keys[s].begin(), shards.keys[s].end()));
    for (std::size_t i = 0; i < shards.keys[s].size(); ++i) {
      const Key key = shards.keys[s][i];
      found.insert(key);
      EXPECT_EQ(shard_of(table.partitioner(), key), s);
      for (std::size_t d = 0; d < 3; ++d) {
        EXPECT_EQ(shards.columns[s][0][3 * i + d], static_cast<float>(key + d));
        EXPECT_EQ(shards.columns[s][1][3 * i + d], 0.25f);
      }
    }
  }
  EXPECT_EQ(found, std::set<Key>(keys.begin(), keys.end()));
}

TEST(TableContents, AreLoadedByManyThreadsIntoATableThatGrowsOn) {
  for (const int threads : testing::thread_counts({1, 2, 3})) {
    Stream<Cpu> stream(threads, 0);
    Table<Cpu> saved(options(), {0, kShards}), loaded(options(), {0, kShards});
    std::vector<Key> keys(20'000);
    std::iota(keys.begin(), keys.end(), Key{0});
    fill(stream, saved, keys);
    Shards(saved).load(stream, loaded);
    EXPECT_EQ(loaded.size(), saved.size());
    std::vector<Key> more(20'000);
    std::iota(more.begin(), more.end(), Key{15'000});
    fill(stream, saved, more);
    fill(stream, loaded, more);
    EXPECT_EQ(Shards(loaded).keys, Shards(saved).keys);
    EXPECT_EQ(Shards(loaded).columns, Shards(saved).columns);
  }
}

TEST(TableContents, AClearedTableIsAsNew) {
  Stream<Cpu> stream;
  Table<Cpu> table(options(), {0, kShards});
  std::vector<Key> keys(2000);
  std::iota(keys.begin(), keys.end(), Key{1});
  std::vector<RowId> rows(keys.size());
  table.find_or_insert(stream, keys, rows.data());
  RowGradients<Cpu> gradients;
  gradients.size = 1;
  gradients.keys = keys.data();
  gradients.rows = rows.data();
  table.add(std::move(gradients));
  const std::int64_t before = table.steps();
  table.clear(stream);
  EXPECT_NE(table.steps(), before);  // rows are to be found again
  EXPECT_EQ(table.size(), 0);
  EXPECT_TRUE(table.take_gradients().empty());
  table.find(stream, keys, rows.data());
  EXPECT_EQ(std::count(rows.begin(), rows.end(), kNoRow), 2000);
  table.find_or_insert(stream, Span<const Key>(keys).first(1), rows.data());
  EXPECT_EQ(rows[0], 0u);
}

}  // namespace
}  // namespace keyshard
