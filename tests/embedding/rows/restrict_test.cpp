// A restriction keeps exactly the rows that its definition names: sorted by status, highest first,
// then by key, lowest first, the first `num_reserved` of all ranks.
#include "embedding/rows/restrict.hpp"

#include <algorithm>
#include <bit>
#include <ctime>
#include <map>
#include <mutex>
#include <set>

#include <gtest/gtest.h>

#include "embedding/rows/table_set.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kDim = 3;

TableOptions options_of(const RestrictPolicy& policy) {
  TableOptions options;
  options.name = "items";
  options.groups = {{"value", kDim, Constant{0.5f}, {}, Adagrad{0.1f, 0.1f, 1e-7f, true}, {}}};
  options.restrict_policy = policy;
  return options;
}

/// One optimizer step of those keys that this rank owns, each with the gradient 1.
void train(Stream<Cpu>& stream, TableSet<Cpu>& tables, const std::set<Key>& keys) {
  Table<Cpu>& table = *tables.tables().front();
  std::vector<Key> own;
  for (const Key key : keys) {
    if (table.shards().contains(shard_of(table.partitioner(), key))) {
      own.push_back(key);
    }
  }
  const auto n = static_cast<std::int64_t>(own.size());
  std::vector<RowId> rows(own.size());
  table.find(stream, own, rows.data());
  std::vector<float> values(own.size() * kDim, 1.0f);
  table.add({.size = n,
             .keys = own.data(),
             .rows = rows.data(),
             .values = values.data(),
             .steps = table.steps(),
             .keep = {}});
  tables.apply(stream, {});
}

/// The rows of this rank: values and states by key.
std::map<Key, std::vector<float>> rows_of(const Table<Cpu>& table) {
  std::map<Key, std::vector<float>> all;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    const ShardRows rows = table.shard_rows(shard);
    for (std::size_t i = 0; i < rows.keys.size(); ++i) {
      std::vector<float>& row = all[rows.keys[i]];
      for (const RowColumn& column : table.columns()) {
        const std::size_t before = row.size();
        row.resize(before + static_cast<std::size_t>(column.width));
        table.copy_column(Span<const RowId>(&rows.rows[i], 1), column, row.data() + before);
      }
    }
  }
  return all;
}

/// The keys of step `step`: some come often, some once.
std::set<Key> keys_of(std::uint64_t step) {
  std::set<Key> keys{0, ~Key{0}, Key{1} << 63};
  for (std::uint64_t i = 0; i < 200; ++i) {
    keys.insert(mix64(mix64(step) + i) % (i < 100 ? 40 : 900) * 0x0123456789ABCDEFull);
  }
  return keys;
}

/// By the definition: the status of every key after the steps 1 to `steps`.
std::map<Key, std::uint32_t> statuses(bool frequency, std::uint64_t steps) {
  std::map<Key, std::uint32_t> all;
  for (std::uint64_t step = 1; step <= steps; ++step) {
    for (const Key key : keys_of(step)) {
      all[key] = frequency ? all[key] + 1 : static_cast<std::uint32_t>(step);
    }
  }
  return all;
}

std::set<Key> highest(const std::map<Key, std::uint32_t>& statuses, std::size_t count) {
  std::vector<std::pair<Key, std::uint32_t>> order(statuses.begin(), statuses.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::set<Key> kept;
  for (std::size_t i = 0; i < std::min(count, order.size()); ++i) {
    kept.insert(order[i].first);
  }
  return kept;
}

TEST(Restrict, KeepsTheRowsOfHighestStatusAndLowestKeyOnAnyNumberOfRanks) {
  for (const bool frequency : {false, true}) {
    const auto all = statuses(frequency, 6);
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{7},
                                    std::size_t{150}, all.size() - 1, all.size(), all.size() + 5}) {
      for (const int ranks : {1, 2, 3, 8}) {
        std::map<Key, std::vector<float>> before, after;
        std::mutex mutex;
        testing::run_ranks(ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
          TableSet<Cpu> tables(communicator);
          Table<Cpu>& table = tables.create(
              options_of(frequency ? RestrictPolicy(Frequency{}) : RestrictPolicy(Timestamp{})));
          for (std::uint64_t step = 1; step <= 6; ++step) {
            train(stream, tables, keys_of(step));
          }
          const auto mine = rows_of(table);
          const auto kept = static_cast<std::int64_t>(count);
          const Restriction result = restrict_rows(stream, communicator, table, kept, kept);
          const auto left = rows_of(table);
          const std::lock_guard lock(mutex);
          before.insert(mine.begin(), mine.end());
          after.insert(left.begin(), left.end());
          EXPECT_EQ(result.before, static_cast<std::int64_t>(all.size()));
          EXPECT_EQ(result.removed, std::max<std::int64_t>(result.before - kept, 0));
          EXPECT_EQ(table.removed(), result.removed);
          EXPECT_EQ(table.size(), static_cast<std::int64_t>(left.size()));
        });
        std::set<Key> found;
        for (const auto& [key, row] : after) {
          found.insert(key);
          EXPECT_EQ(row, before.at(key)) << "values, state and status move together: key " << key;
        }
        EXPECT_EQ(found, highest(all, count)) << count << " rows, " << ranks << " ranks";
      }
    }
  }
}

TEST(Restrict, TheClockOfAMachineCountsSeconds) {
  testing::run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    const Table<Cpu>& table = tables.create(options_of(TimestampSeconds{}));
    const auto before = static_cast<std::uint32_t>(std::time(nullptr));
    train(stream, tables, {1});
    const auto status = std::bit_cast<std::uint32_t>(rows_of(table).at(1).back());
    EXPECT_GE(status, before);
    EXPECT_LE(status, static_cast<std::uint32_t>(std::time(nullptr)));
  });
}

TEST(Restrict, LooksAtTheTriggerFirst) {
  testing::run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(options_of(Frequency{}));
    train(stream, tables, {1, 2, 3, 4});
    EXPECT_EQ(restrict_rows(stream, communicator, table, 2, 4).removed, 0);
    EXPECT_EQ(restrict_rows(stream, communicator, table, 2, 3).removed, 2);
    EXPECT_THROW(restrict_rows(stream, communicator, table, -1, 3), Error);
    Table<Cpu>& forever = tables.create([] {
      TableOptions options = options_of(KeepAll{});
      options.name = "forever";
      return options;
    }());
    EXPECT_THROW(restrict_rows(stream, communicator, forever, 1, 1), Error);
  });
}

TEST(Restrict, ARemovedKeyStartsAgainAndAWaitingGradientFindsItsRow) {
  testing::run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(options_of(Timestamp{}));
    train(stream, tables, {1, 2, 3});
    train(stream, tables, {2, 3});
    const std::vector<float> fresh = rows_of(table).at(3);
    std::vector<Key> keys{1, 3};
    std::vector<RowId> rows(2);
    table.find(stream, keys, rows.data());
    std::vector<float> values(2 * kDim, 1.0f);
    table.add({.size = 2,
               .keys = keys.data(),
               .rows = rows.data(),
               .values = values.data(),
               .steps = table.steps(),
               .keep = {}});
    restrict_rows(stream, communicator, table, 1, 1);  // 2 stays: of 2 and 3 the lower key
    tables.apply(stream, {});
    TableSet<Cpu> alone(communicator);
    alone.create(options_of(Timestamp{}));
    train(stream, alone, {1, 3});
    const auto expected = rows_of(*alone.tables().front());
    for (const Key key : keys) {
      std::vector<float> row = rows_of(table).at(key), other = expected.at(key);
      row.pop_back();  // the statuses are of steps 3 and 1
      other.pop_back();
      EXPECT_EQ(row, other) << key;
    }
  });
}

TEST(Restrict, AHundredRoundsTakeNoMoreMemoryThanTheFirst) {
  testing::run_ranks(1, 2, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableOptions options = options_of(Timestamp{});
    options.max_rows = 5000;
    options.restrict_every = 1;
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(options);
    std::size_t first = 0;
    Key next = 0;
    for (int round = 0; round < 100; ++round) {
      std::set<Key> keys;
      while (keys.size() < 4000) {
        keys.insert(next++);
      }
      train(stream, tables, keys);
      EXPECT_LE(table.size(), 5000);
      first = round == 1 ? table.bytes() : first;  // the table is full for the first time
    }
    EXPECT_EQ(table.removed(), 400000 - 5000);
    EXPECT_LE(static_cast<double>(table.bytes()), 1.1 * static_cast<double>(first));
  });
}

}  // namespace
}  // namespace keyshard
