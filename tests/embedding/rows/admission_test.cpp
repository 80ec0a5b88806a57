// Admission: which keys get a row is what the definition says, on any number of ranks.
#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include <gtest/gtest.h>

#include "embedding/rows/restrict.hpp"
#include "embedding/rows/table_set.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

TableOptions admitting(std::int64_t after, double probability = 1) {
  TableOptions options;
  options.name = "items";
  options.groups = {{"value", 1, Constant{0.5f}, {}, Sgd{1}, {}}};
  options.restrict_policy = Frequency{};
  options.admit_after = after;
  options.admit_probability = probability;
  return options;
}

/// One optimizer step of those keys that this rank owns, each with the gradient 1.
void step(Stream<Cpu>& stream, TableSet<Cpu>& tables, const std::set<Key>& keys) {
  Table<Cpu>& table = *tables.tables().front();
  std::vector<Key> own;
  for (const Key key : keys) {
    if (table.shards().contains(shard_of(table.partitioner(), key))) {
      own.push_back(key);
    }
  }
  std::vector<RowId> rows(own.size());
  table.find(stream, own, rows.data());
  std::vector<float> gradients(own.size(), 1.0f);
  table.add({.size = static_cast<std::int64_t>(own.size()),
             .keys = own.data(),
             .rows = rows.data(),
             .values = gradients.data(),
             .steps = table.steps(),
             .keep = {}});
  tables.apply(stream, {});
}

/// Keys of step `step`: some come often, many once.
std::set<Key> keys_of(std::uint64_t step) {
  std::set<Key> keys;
  for (std::uint64_t i = 0; i < 300; ++i) {
    keys.insert(mix64(mix64(step) + i) % (i < 150 ? 60 : 3000) * 0x0123456789ABCDEFull);
  }
  return keys;
}

/// The rows of all ranks, and what was dropped.
struct Result {
  std::map<Key, float> rows;
  std::int64_t dropped = 0;

  bool operator==(const Result&) const = default;
};

/// After the steps 1 to 12; before step 7 only the 20 rows of the highest status and lowest key
/// stay.
Result trained(const TableOptions& options, int ranks) {
  Result result;
  std::mutex mutex;
  testing::run_ranks(ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(options);
    for (std::uint64_t t = 1; t <= 12; ++t) {
      if (t == 7) {
        restrict_rows(stream, communicator, table, 20, 0);
      }
      step(stream, tables, keys_of(t));
    }
    const std::lock_guard lock(mutex);
    result.dropped += table.dropped();
    for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
      const ShardRows rows = table.shard_rows(shard);
      std::vector<float> values(rows.keys.size());
      table.copy_column(rows.rows, table.columns()[0], values.data());
      for (std::size_t i = 0; i < values.size(); ++i) {
        result.rows[rows.keys[i]] = values[i];
      }
    }
  });
  return result;
}

/// The same by the definition, for admission by count.
Result defined(std::int64_t after) {
  Result result;
  std::map<Key, std::int64_t> waiting, statuses;
  for (std::uint64_t t = 1; t <= 12; ++t) {
    if (t == 7) {
      std::vector<std::pair<std::int64_t, Key>> order;  // negative statuses: highest first
      for (const auto& [key, status] : statuses) {
        order.push_back({-status, key});
      }
      std::sort(order.begin(), order.end());
      for (std::size_t i = 20; i < order.size(); ++i) {
        result.rows.erase(order[i].second);
        statuses.erase(order[i].second);
      }
    }
    for (const Key key : keys_of(t)) {
      if (result.rows.count(key) == 0) {
        if (++waiting[key] < after) {
          ++result.dropped;
          continue;
        }
        waiting.erase(key);
        result.rows[key] = 0.5f;
      }
      result.rows[key] -= 1;
      ++statuses[key];
    }
  }
  return result;
}

TEST(Admission, ByCountIsItsDefinitionOnAnyNumberOfRanks) {
  for (const std::int64_t after : {0, 1, 2, 3, 7}) {
    const Result expected = defined(after);
    EXPECT_EQ(expected.dropped > 0, after > 1);
    for (const int ranks : {1, 2, 3, 8}) {
      EXPECT_TRUE(trained(admitting(after), ranks) == expected) << after << " " << ranks;
    }
  }
}

TEST(Admission, AKeyThatWaitsReadsAsItsInitialValue) {
  testing::run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(admitting(2));
    const Key key = 7;
    const auto read = [&] {
      RowId row = kNoRow;
      float value = -1;
      table.find(stream, Span<const Key>(&key, 1), &row);
      table.read(stream, Span<const Key>(&key, 1), &row, false, &value);
      return value;
    };
    step(stream, tables, {key});
    EXPECT_EQ(read(), 0.5f);
    EXPECT_EQ(table.size(), 0);
    EXPECT_EQ(table.dropped(), 1);
    step(stream, tables, {key});
    EXPECT_EQ(read(), -0.5f);
    EXPECT_EQ(table.dropped(), 1);
    table.clear(stream);
    step(stream, tables, {key});
    EXPECT_EQ(read(), 0.5f);
  });
}

TEST(Admission, ByProbabilityIsADrawOfEachStepTheSameOnAllRanks) {
  std::set<Key> keys;
  for (Key key = 0; key < 4000; ++key) {
    keys.insert(key);
  }
  const auto sizes = [&](int ranks) {
    std::vector<std::int64_t> found;
    testing::run_ranks(ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      Table<Cpu>& table = tables.create(admitting(0, 0.25));
      for (int t = 0; t < 2; ++t) {
        step(stream, tables, keys);
        std::int64_t size = table.size();
        communicator.all_reduce(Span<std::int64_t>(&size, 1), Reduction::sum);
        if (communicator.rank() == 0) {
          found.push_back(size);
        }
      }
    });
    return found;
  };
  const std::vector<std::int64_t> one = sizes(1);
  // Five standard deviations, of 27.4 each, around 1000 and 4000 (1 - 0.75^2).
  EXPECT_NEAR(static_cast<double>(one[0]), 1000, 137);
  EXPECT_NEAR(static_cast<double>(one[1]), 1750, 157);
  EXPECT_EQ(sizes(2), one);
  EXPECT_EQ(sizes(5), one);
  EXPECT_TRUE(trained(admitting(0, 0.25), 1) == trained(admitting(0, 0.25), 3));
}

TEST(Admission, OptionsWithoutMeaningAreRefused) {
  const auto refused = [](const TableOptions& options) {
    try {
      check(options);
    } catch (const Error& error) {
      return error.text();
    }
    return std::string("no error");
  };
  EXPECT_EQ(refused(admitting(-1)),
            "table items: expected 0 <= admit_after < 4294967295: found -1");
  EXPECT_EQ(refused(admitting(0, 0)), "table items: expected 0 < admit_probability <= 1: found 0");
  EXPECT_EQ(refused(admitting(2, 0.5)),
            "table items: expected one of admit_after and admit_probability: found 2 and 0.5");
}

/// Expects that these keys of all ranks have changed or were removed, each told by its shard.
void expect_changes(Communicator<Cpu>& communicator, const Table<Cpu>& table,
                    const std::set<Key>& changed, const std::set<Key>& removed) {
  std::int64_t found = 0;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    const ShardChanges changes = table.changes(shard);
    const auto expect_in = [&](const std::vector<Key>& keys, const std::set<Key>& expected) {
      for (const Key key : keys) {
        EXPECT_EQ(expected.count(key), 1u) << key;
        EXPECT_EQ(shard_of(table.partitioner(), key), shard) << key;
      }
      found += static_cast<std::int64_t>(keys.size());
    };
    expect_in(changes.changed, changed);
    expect_in(changes.removed, removed);
  }
  communicator.all_reduce(Span<std::int64_t>(&found, 1), Reduction::sum);
  EXPECT_EQ(found, static_cast<std::int64_t>(changed.size() + removed.size()));
}

/// What a table of one rank tells of a series of steps, restrictions and assignments.
void follow_changes(Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
  TableSet<Cpu> tables(communicator);
  Table<Cpu>& table = tables.create(admitting(0));
  const auto expect = [&](const std::set<Key>& changed, const std::set<Key>& removed) {
    expect_changes(communicator, table, changed, removed);
  };
  step(stream, tables, {1, 2, 4, 5});
  EXPECT_THROW(table.changes(table.shards().begin), Error);
  tables.mark_changes(stream);
  expect({}, {});
  step(stream, tables, {2, 3});
  expect({2, 3}, {});
  // 2 has been stepped twice; 1, 3, 4 and 5 once.
  restrict_rows(stream, communicator, table, 2, 0);
  expect({2}, {3, 4, 5});
  step(stream, tables, {4});
  expect({2, 4}, {3, 5});
  tables.mark_changes(stream);
  expect({}, {});
  table.clear(stream);
  expect({}, {1, 2, 4});
  const Key key = 6;
  const float value = 9;
  const bool mine = table.shards().contains(shard_of(table.partitioner(), key));
  table.assign(stream, Span<const Key>(&key, mine ? 1 : 0), &value);
  expect({6}, {1, 2, 4});
}

TEST(Changes, AreThoseSinceTheMark) {
  for (const int ranks : {1, 2, 3}) {
    testing::run_ranks(ranks, 1, follow_changes);
  }
}

}  // namespace
}  // namespace keyshard
