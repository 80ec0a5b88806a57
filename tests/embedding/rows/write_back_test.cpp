// Rows with another writer between their read and their step: the four cases of an update by
// increment, with the numbers of TFRA's own test, and updates by value.
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "embedding/rows/table.hpp"
#include "runtime/hash.hpp"

namespace keyshard {
namespace {

using Rows = std::map<Key, float>;

/// Rows of one number, of which an absent one reads 2.
TableOptions options_of(bool bp_v2, const Optimizer& optimizer = Sgd{1}) {
  TableOptions options;
  options.name = "items";
  options.groups = {{"value", 1, Constant{2}, {}, optimizer, {}}};
  options.bp_v2 = bp_v2;
  return options;
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

Rows rows_of(const Table<Cpu>& table) {
  Rows rows;
  for (std::int64_t shard = 0; shard < kShards; ++shard) {
    const ShardRows found = table.shard_rows(shard);
    for (std::size_t i = 0; i < found.keys.size(); ++i) {
      table.copy_column(Span<const RowId>(&found.rows[i], 1), table.columns().front(),
                        &rows[found.keys[i]]);
    }
  }
  return rows;
}

/// Key 1 goes, and 99 comes as key 100.
void write_meanwhile(Stream<Cpu>& stream, Table<Cpu>& table) {
  Rows rows = rows_of(table);
  rows.erase(1);
  rows[100] = 99;
  table.clear(stream);
  assign(stream, table, rows);
}

const std::vector<Key> kKeys{0, 1, 100, 3};
const std::vector<float> kOld{0, 1, 2, 3}, kNew{10, 11, 100, 13};

/// TFRA's test: rows that are read, changed meanwhile, and written back.
Rows written_back(bool bp_v2, std::int64_t dropped) {
  Stream<Cpu> stream(2);
  Table<Cpu> table(options_of(bp_v2), {0, kShards});
  assign(stream, table, {{0, 0}, {1, 1}, {2, 2}, {3, 3}});
  std::vector<RowId> read(4);
  std::vector<float> old(4);
  table.find(stream, kKeys, read.data());
  table.read(stream, kKeys, read.data(), false, old.data());
  EXPECT_EQ(old, kOld);
  write_meanwhile(stream, table);
  table.write_back(stream, {kKeys, read.data(), old.data(), kNew.data()});
  EXPECT_EQ(table.dropped(), dropped);
  return rows_of(table);
}

TEST(WriteBack, AddsTheChangeOfARowThatIsStillThereAndMakesOneThatIsStillAbsent) {
  EXPECT_EQ(written_back(true, 2), (Rows{{0, 10}, {2, 2}, {3, 13}, {100, 99}}));
}

TEST(WriteBack, ByValueTheLastWriterWins) {
  EXPECT_EQ(written_back(false, 0), (Rows{{0, 10}, {1, 11}, {2, 2}, {3, 13}, {100, 100}}));
}

TEST(WriteBack, ByIncrementKeepsWhatAnotherWriterDidToARow) {
  for (const bool bp_v2 : {false, true}) {
    Stream<Cpu> stream(1);
    Table<Cpu> table(options_of(bp_v2), {0, kShards});
    assign(stream, table, {{5, 1}});
    const std::vector<Key> keys{5, 6};  // 6 has no row, and gets none meanwhile
    std::vector<RowId> read(2);
    table.find(stream, keys, read.data());
    assign(stream, table, {{5, 16}});
    const std::vector<float> old{1, 2}, updated{4, 8};
    table.write_back(stream, {keys, read.data(), old.data(), updated.data()});
    EXPECT_EQ(rows_of(table), (Rows{{5, bp_v2 ? 16.0f + 3 : 4.0f}, {6, 8}}));
    EXPECT_EQ(table.dropped(), 0);
  }
}

/// Adds the gradients of the keys; `rows` as they were found, which the step changes.
void add(Table<Cpu>& table, std::vector<RowId>& rows, std::vector<float>& gradients,
         std::int64_t steps) {
  table.add({.size = static_cast<std::int64_t>(rows.size()),
             .keys = kKeys.data(),
             .rows = rows.data(),
             .values = gradients.data(),
             .steps = steps,
             .keep = {}});
}

TEST(WriteBack, AStepDropsTheGradientOfARowThatCameOrWent) {
  for (const int calls : {1, 2}) {
    Stream<Cpu> stream(2);
    Table<Cpu> table(options_of(true), {0, kShards});
    assign(stream, table, {{0, 0}, {1, 1}, {2, 2}, {3, 3}});
    const auto n = static_cast<std::size_t>(calls);
    std::vector<std::vector<RowId>> rows(n, std::vector<RowId>(4));
    std::vector<std::vector<float>> gradients(n);
    const std::int64_t steps = table.steps();
    for (std::size_t call = 0; call < n; ++call) {
      table.find(stream, kKeys, rows[call].data());
      for (std::size_t i = 0; i < 4; ++i) {
        gradients[call].push_back((kOld[i] - kNew[i]) / static_cast<float>(calls));
      }
    }
    write_meanwhile(stream, table);
    for (std::size_t call = 0; call < n; ++call) {
      add(table, rows[call], gradients[call], steps);
    }
    table.apply(stream, {});
    EXPECT_EQ(rows_of(table), (Rows{{0, 10}, {2, 2}, {3, 13}, {100, 99}}));
    EXPECT_EQ(table.dropped(), 2 * calls);
  }
}

TEST(WriteBack, AStepFindsTheRowThatAnAssignmentHasMadeMeanwhile) {
  Stream<Cpu> stream(1);
  Table<Cpu> table(options_of(false), {0, kShards});
  std::vector<RowId> rows(4);
  table.find(stream, kKeys, rows.data());
  const std::int64_t steps = table.steps();
  assign(stream, table, {{100, 99}});
  std::vector<float> gradients(4, 1.0f);
  add(table, rows, gradients, steps);
  table.apply(stream, {});
  EXPECT_EQ(rows_of(table), (Rows{{0, 1}, {1, 1}, {3, 1}, {100, 98}}));
  EXPECT_EQ(table.size(), 4);
}

TEST(WriteBack, WithoutAnotherWriterBothWaysAreTheSame) {
  Rows after[2];
  for (const bool bp_v2 : {false, true}) {
    Stream<Cpu> stream(2);
    Table<Cpu> table(options_of(bp_v2, Adam{0.25f}), {0, kShards});
    assign(stream, table, {{3, 7}});
    for (std::uint64_t step = 0; step < 5; ++step) {
      std::vector<RowId> rows(4);
      std::vector<float> gradients;
      for (std::uint64_t i = 0; i < 4; ++i) {
        gradients.push_back(static_cast<float>(mix64(step * 4 + i) % 64) / 16 - 2);
      }
      table.find(stream, kKeys, rows.data());
      add(table, rows, gradients, table.steps());
      table.apply(stream, {});
    }
    after[bp_v2 ? 1 : 0] = rows_of(table);
    EXPECT_EQ(table.dropped(), 0);
  }
  EXPECT_EQ(after[0].size(), 4u);
  EXPECT_EQ(after[0], after[1]);
}

}  // namespace
}  // namespace keyshard
