// Rows that are made, on several threads, against a plain map and the definition of their values.
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "embedding/table.hpp"
#include "runtime/stream.hpp"

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
  for (const int threads : {1, 2, 3}) {
    Stream<Cpu> stream(threads);
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

TEST(TableContents, NewRowsHaveInitialValuesAndState) {
  Stream<Cpu> stream(2);
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

TEST(TableContents, AssignSetsRowsOldAndNew) {
  Stream<Cpu> stream(2);
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

}  // namespace
}  // namespace keyshard
