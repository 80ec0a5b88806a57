// One table wherever its rows live: the same rows, the same reads, the same four cases of an update
// by increment, the same restriction. What expected values come from is host memory's definition in
// embedding/rows, or hand work.
#include "embedding/rows/stored_rows.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "embedding/rows/restrict.hpp"
#include "embedding/rows/staging.hpp"
#include "runtime/error.hpp"
#include "tests/embedding/stores/store_places.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

using Rows = std::map<Key, float>;

/// Rows of one number, of which an absent one reads 2.
TableOptions options_of(const KvCreator& creator, bool bp_v2 = false) {
  TableOptions options;
  options.name = "items";
  options.groups = {{"value", 1, Constant{2}, {}, Sgd{1}, {}}};
  options.bp_v2 = bp_v2;
  options.kv_creator = creator;
  return options;
}

Rows rows_of(const Table<Cpu>& table) {
  Rows rows;
  for (std::int64_t shard = 0; shard < kShards; ++shard) {
    const ShardContent content = table.shard_content(shard);
    std::vector<float> values(content.keys.size());
    table.copy_column(content, table.columns().front(), values.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
      rows[content.keys[i]] = values[i];
    }
  }
  return rows;
}

void assign(Stream<Cpu>& stream, Table<Cpu>& table, const Rows& rows) {
  std::vector<Key> keys;
  std::vector<float> values;
  for (const auto& [key, value] : rows) {
    keys.push_back(key);
    values.push_back(value);
  }
  table.assign(stream, keys, values.data());
}

/// What a lookup of the keys reads.
std::vector<float> read(Stream<Cpu>& stream, TableSet<Cpu>& tables, const std::vector<Key>& keys) {
  Table<Cpu>& table = tables.at("items");
  Table<Cpu>* const self[] = {&table};
  const std::vector<std::int64_t> starts{0, std::ssize(keys)};
  if (table.stored() != nullptr) {
    stage_rows<Cpu>(stream, self, {keys.data(), starts}, false);
  }
  std::vector<RowId> rows(keys.size());
  std::vector<float> values(keys.size());
  table.find(stream, keys, rows.data());
  table.read(stream, keys, rows.data(), false, values.data());
  return values;
}

/// One optimizer step with a gradient for each key.
void step(Stream<Cpu>& stream, TableSet<Cpu>& tables, const Rows& gradients) {
  std::vector<Key> keys;
  std::vector<float> values;
  for (const auto& [key, gradient] : gradients) {
    keys.push_back(key);
    values.push_back(gradient);
  }
  std::vector<RowId> rows(keys.size(), kNoRow);
  tables.at("items").add({.size = std::ssize(keys),
                          .keys = keys.data(),
                          .rows = rows.data(),
                          .values = values.data(),
                          .steps = -1,
                          .keep = {}});
  tables.apply(stream, {});
}

class StoredRowsTest : public StorePlaces {
 protected:
  Stream<Cpu> stream_;
};

INSTANTIATE_TEST_SUITE_P(Everywhere, StoredRowsTest,
                         ::testing::Values("host", "rocksdb", "redis", "own", "tiered_rocksdb",
                                           "tiered_redis", "tiered_own", "tiered_host"),
                         [](const auto& which) { return which.param; });

TEST_P(StoredRowsTest, ALookupReadsInitialValuesAndMakesNoRow) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(options_of(creator()));
    assign(stream, table, {{1, 5}, {2, 6}});

    EXPECT_EQ(read(stream, tables, {2, 3, 1}), (std::vector<float>{6, 2, 5}));
    EXPECT_EQ(table.size(), 2);
    EXPECT_EQ(rows_of(table), (Rows{{1, 5}, {2, 6}}));
  });
}

TEST_P(StoredRowsTest, AStepMakesAndChangesRows) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(options_of(creator()));
    assign(stream, table, {{1, 5}});
    step(stream, tables, {{1, 1}, {9, 0.5f}});  // w - g; key 9 begins with 2
    step(stream, tables, {{9, 0.5f}});

    EXPECT_EQ(rows_of(table), (Rows{{1, 4}, {9, 1}}));
    EXPECT_EQ(table.size(), 2);
    EXPECT_EQ(read(stream, tables, {9}), std::vector<float>{1});
    table.clear(stream);
    EXPECT_EQ(rows_of(table), Rows{});
    EXPECT_EQ(table.size(), 0);
  });
}

/// TFRA's test: rows that are read, changed meanwhile, and written back.
TEST_P(StoredRowsTest, WritesBackInTheFourCasesOfAnUpdateByIncrement) {
  for (const bool by_increment : {false, true}) {
    run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      Table<Cpu>& table =
          tables.create(options_of(creator(by_increment ? "add" : "set"), by_increment));
      const std::vector<Key> keys{0, 1, 100, 3};
      const std::vector<float> old{0, 1, 2, 3}, updated{10, 11, 100, 13};
      const std::vector<RowId> read{0, 1, kNoRow, 3};              // found, but for key 100
      assign(stream, table, {{0, 0}, {2, 2}, {3, 3}, {100, 99}});  // 100 has come, 1 has gone

      table.write_back(stream, {keys, read.data(), old.data(), updated.data()});

      EXPECT_EQ(rows_of(table),
                (by_increment ? Rows{{0, 10}, {2, 2}, {3, 13}, {100, 99}}
                              : Rows{{0, 10}, {1, 11}, {2, 2}, {3, 13}, {100, 100}}));
      EXPECT_EQ(table.dropped(), by_increment ? 2 : 0);
    });
  }
}

TEST_P(StoredRowsTest, ARestrictionKeepsTheRowsOfTheMostSteps) {
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    TableOptions options = options_of(creator());
    options.restrict_policy = Frequency{};
    options.partitioner = "modulo";
    Table<Cpu>& table = tables.create(options);
    const Key first = communicator.rank() == 0 ? 0 : 512;  // shards of the rank
    step(stream, tables, {{first, 1}, {first + 1, 1}, {first + 2, 1}});
    step(stream, tables, {{first + 1, 1}});

    // Statuses are 1 and, of keys 1 and 513, 2; of equal ones the lowest keys stay.
    const Restriction restriction = restrict_rows(stream, communicator, table, 4, 4);
    EXPECT_EQ(restriction.before, 6);
    EXPECT_EQ(restriction.removed, 2);
    EXPECT_EQ(table.size(), communicator.rank() == 0 ? 3 : 1);
    Rows kept;
    for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
      for (const Key key : table.shard_content(shard).keys) {
        kept[key] = 1;
      }
    }
    EXPECT_EQ(kept, communicator.rank() == 0 ? (Rows{{0, 1}, {1, 1}, {2, 1}}) : (Rows{{513, 1}}));
    // A key that is back begins anew.
    step(stream, tables, {{first + 2, 1}});
    EXPECT_EQ(table.size(), communicator.rank() == 0 ? 3 : 2);
  });
}

TEST_P(StoredRowsTest, NothingStaysInMemoryButWhatTieredMay) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(options_of(creator()));
    step(stream, tables, {{1, 1}, {2, 1}, {3, 1}});
    EXPECT_EQ(table.index().size(), table.stored() == nullptr || is_tiered() ? 3 : 0);
    EXPECT_EQ(table.size(), 3);
  });
}

TEST_P(StoredRowsTest, RoomIsMadeForTheRowsThatMayStayInMemory) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    const auto bytes_with = [&](std::int64_t capacity) {
      TableSet<Cpu> tables(communicator);
      TableOptions options = options_of(creator(std::to_string(capacity)));
      options.init_capacity = capacity;
      return tables.create(options).bytes();
    };
    const std::size_t none = bytes_with(0);
    if (GetParam() == "host") {
      EXPECT_GT(bytes_with(1'000'000), none + (12 << 20));  // a key and a row id take 12 bytes
    } else if (is_tiered()) {
      EXPECT_GT(bytes_with(4000), none);
      EXPECT_LE(bytes_with(1'000'000), static_cast<std::size_t>(kLeastFastBytes));
    } else {
      EXPECT_EQ(bytes_with(1'000'000), none);
    }
  });
}

/// A gradient of 1 for each of consecutive keys.
Rows ones_from(Key first, std::int64_t count) {
  Rows rows;
  for (std::int64_t i = 0; i < count; ++i) {
    rows[first + static_cast<Key>(i)] = 1;
  }
  return rows;
}

/// How many of consecutive keys have rows in memory.
std::int64_t in_memory(Stream<Cpu>& stream, const Table<Cpu>& table, Key first,
                       std::int64_t count) {
  std::vector<Key> keys;
  for (std::int64_t i = 0; i < count; ++i) {
    keys.push_back(first + static_cast<Key>(i));
  }
  std::vector<RowId> rows(keys.size());
  table.find(stream, keys, rows.data());
  return std::count_if(rows.begin(), rows.end(), [](RowId row) { return row != kNoRow; });
}

/// What has to leave, and an eighth of the room more, are rows whose last use is the longest ago,
/// and of equal ones the lowest keys: here those of the first step that were not used again, then
/// those of the second. They come back with all that they were.
void let_rows_leave(TableSet<Cpu>& tables, Stream<Cpu>& stream) {
  Table<Cpu>& table = tables.at("items");
  const std::int64_t most = table.stored()->most_rows(), half = most / 2, quarter = half / 2;
  const Key again = static_cast<Key>(quarter), second = 1'000'000, third = 2'000'000;
  step(stream, tables, ones_from(0, half));
  step(stream, tables, ones_from(second, half));
  EXPECT_EQ(in_memory(stream, table, 0, half) + in_memory(stream, table, second, half), 2 * half);
  step(stream, tables, ones_from(0, quarter));
  step(stream, tables, ones_from(third, quarter));

  EXPECT_LE(table.index().size(), most);
  EXPECT_EQ(in_memory(stream, table, 0, quarter), quarter);
  EXPECT_EQ(in_memory(stream, table, third, quarter), quarter);
  const std::int64_t gone = 2 * half + quarter - most + most / 8;
  const std::int64_t of_first = std::min(gone, half - quarter);
  EXPECT_EQ(in_memory(stream, table, again, of_first), 0);
  EXPECT_EQ(in_memory(stream, table, second, half), half - (gone - of_first));
  EXPECT_EQ(in_memory(stream, table, second, gone - of_first), 0);

  step(stream, tables, ones_from(again, 2));
  const Rows all = rows_of(table);
  EXPECT_EQ(std::ssize(all), 2 * half + quarter);
  EXPECT_EQ(table.size(), std::ssize(all));
  for (const auto& [key, value] : all) {
    EXPECT_EQ(value, key < again + 2 ? 0 : 1) << key;  // 2 - 1 a step
  }
  EXPECT_LE(static_cast<std::int64_t>(table.index().bytes()) + most * table.layout().stride * 4,
            kLeastFastBytes);
}

/// A row counts once a step: as found where it lay in memory when the step first used it.
void count_rows(TableSet<Cpu>& tables, Stream<Cpu>& stream) {
  const StoredRows& held = *tables.at("items").stored();
  const std::int64_t most = held.most_rows(), half = most / 2;
  const auto counts = [&] {
    const std::optional<FastCounts> all = tables.fast_counts();
    EXPECT_TRUE(all);
    return std::pair(all->found, all->fetched);
  };
  step(stream, tables, ones_from(0, half));
  EXPECT_EQ(counts(), std::pair(std::int64_t{0}, std::int64_t{0}));  // new rows lie nowhere
  EXPECT_EQ(tables.fast_counts()->share(), 1);
  step(stream, tables, ones_from(0, half));
  EXPECT_EQ(counts(), std::pair(half, std::int64_t{0}));
  step(stream, tables, ones_from(1'000'000, most - 1));  // the first ones leave
  step(stream, tables, ones_from(0, 10));
  EXPECT_EQ(counts(), std::pair(half, std::int64_t{10}));
  EXPECT_EQ(tables.fast_counts()->share(),
            static_cast<double>(half) / static_cast<double>(half + 10));
}

TEST_P(StoredRowsTest, RowsThatLieInFastMemoryAreCounted) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(options_of(creator()));
    if (is_tiered()) {
      count_rows(tables, stream);
      EXPECT_LE(table.bytes(), static_cast<std::size_t>(kLeastFastBytes));
    } else {
      step(stream, tables, ones_from(0, 3));
      EXPECT_FALSE(tables.fast_counts());
    }
  });
}

TEST(RocksDbOfOwners, IsRefusedByOthersUntilTheyReplaceIt) {
  const ScratchFolder folder;
  if (!missing_library(RocksDbRows{"x"}).empty()) {
    GTEST_SKIP() << missing_library(RocksDbRows{"x"});
  }
  const RecordLayout layout{"items", "one number", 1, StatusMerge::none};
  const auto open = [&](std::int64_t rank, const std::vector<std::int64_t>& owners) {
    return make_store(RocksDbRows{folder.path("rows")}, layout,
                      {rank, ShardOwners(2, kShards, owners)});
  };
  const StoreKey key{5, 5};
  const float record = 1;
  open(1, {1})->put(Span<const StoreKey>(&key, 1), &record);
  const std::string rows = folder.path("rows/items/rank-1-of-2-shards-0-to-1024");
  EXPECT_TRUE(std::filesystem::exists(rows));
  EXPECT_EQ(open(1, {1})->count({0, kShards}), 1);
  try {
    open(0, {0})->count({0, kShards});
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    const std::string found = error.text();
    EXPECT_NE(found.find("expected rows of 2 ranks, owned by the ranks 0: found " + rows),
              std::string::npos)
        << found;
  }
  const auto in_order = open(1, {});
  EXPECT_THROW(in_order->count({512, kShards}), Error);

  in_order->clear({512, kShards});  // as a resume from a checkpoint does

  EXPECT_EQ(in_order->count({512, kShards}), 0);
  EXPECT_FALSE(std::filesystem::exists(rows));
}

TEST(Tiered, LeastRecentlyUsedRowsLeaveAndComeBack) {
  const ScratchFolder folder;
  if (!missing_library(RocksDbRows{"x"}).empty()) {
    GTEST_SKIP() << missing_library(RocksDbRows{"x"});
  }
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    tables.create(options_of(TieredRows{kLeastFastBytes, RocksDbRows{folder.path("slow")}}));
    let_rows_leave(tables, stream);
  });
}

TEST(Tiered, AStepThatDoesNotFitIsRefusedAndChangesNothing) {
  const ScratchFolder folder;
  if (!missing_library(RocksDbRows{"x"}).empty()) {
    GTEST_SKIP() << missing_library(RocksDbRows{"x"});
  }
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    TableOptions options =
        options_of(TieredRows{kLeastFastBytes, RocksDbRows{folder.path("slow")}});
    Table<Cpu>& table = tables.create(options);
    step(stream, tables, {{5, 1}});
    Rows many;
    for (Key key = 0; std::ssize(many) <= table.stored()->most_rows(); ++key) {
      many[key] = 1;
    }
    try {
      step(stream, tables, many);
      ADD_FAILURE() << "expected an error";
    } catch (const Error& error) {
      EXPECT_NE(error.text().find("expected fast_bytes for the rows of a step"), std::string::npos)
          << error.text();
    }
    EXPECT_EQ(rows_of(table), (Rows{{5, 1}}));
    EXPECT_EQ(table.clocks()[0].step(), 1);
  });
}

}  // namespace
}  // namespace keyshard::testing
