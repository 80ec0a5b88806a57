// Steps of several tables at once: all of them change, or none does.
#include "embedding/rows/table_set.hpp"

#include <limits>
#include <map>

#include <gtest/gtest.h>

#include "collectives/thread_communicator.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

TableOptions options(const std::string& name) {
  TableOptions table;
  table.name = name;
  table.groups = {{"values", 2, Constant{0.5f}, {}, Adam{}, {}}};
  return table;
}

/// A call that has found its rows and gives its gradients to a table, which borrows them.
struct Call {
  std::vector<Key> keys;
  std::vector<RowId> rows;
  std::vector<float> values;

  Call(Stream<Cpu>& stream, Table<Cpu>& table, std::vector<Key> of, std::vector<float> gradients)
      : keys(std::move(of)), rows(keys.size()), values(std::move(gradients)) {
    table.find(stream, keys, rows.data());
    table.add({.size = static_cast<std::int64_t>(keys.size()),
               .keys = keys.data(),
               .rows = rows.data(),
               .values = values.data(),
               .steps = table.steps(),
               .keep = {}});
  }
};

/// All that a step may change of a table.
struct Content {
  std::int64_t size;
  std::int64_t steps;
  std::int64_t clock_step;
  std::vector<double> clock_numbers;
  std::map<Key, std::vector<float>> rows;  ///< values and states

  explicit Content(Table<Cpu>& table)
      : size(table.size()),
        steps(table.steps()),
        clock_step(table.clocks()[0].step()),
        clock_numbers(table.clocks()[0].numbers()) {
    for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
      const ShardRows of_shard = table.shard_rows(shard);
      for (const RowColumn& column : table.columns()) {
        for (std::size_t i = 0; i < of_shard.keys.size(); ++i) {
          std::vector<float> values(static_cast<std::size_t>(column.width));
          table.copy_column(Span<const RowId>(&of_shard.rows[i], 1), column, values.data());
          std::vector<float>& row = rows[of_shard.keys[i]];
          row.insert(row.end(), values.begin(), values.end());
        }
      }
    }
  }

  bool operator==(const Content&) const = default;
};

TEST(TableSet, ChangesNoTableWhereTheGradientsOfOneAreNotFinite) {
  const auto communicators = make_thread_communicators(1);
  Stream<Cpu> stream;
  TableSet<Cpu> tables(*communicators[0]);
  Table<Cpu>& first = tables.create(options("first"));
  Table<Cpu>& second = tables.create(options("second"));
  second.add_reader("words");
  const Call a(stream, first, {1, 2}, {1, 2, 3, 4}), b(stream, second, {1, 3}, {5, 6, 7, 8});
  tables.apply(stream, {});
  const Content first_before(first), second_before(second);
  ASSERT_EQ(first.size(), 2);

  // Key 2 of the first table has a row, key 4 would get one.
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Call c(stream, first, {2, 4}, {1, 1, 1, 1}), d(stream, second, {3, 9}, {1, 1, 1, nan});
  try {
    tables.apply(stream, {});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::non_finite);
    EXPECT_EQ(error.text(),
              "expected finite gradients: found nan for key 9 of table second, read by words");
  }

  EXPECT_EQ(Content(first), first_before);
  EXPECT_EQ(Content(second), second_before);
}

}  // namespace
}  // namespace keyshard
