// What a table has beside its rows, wherever these live: keys that wait for their admission, the
// changes since a mark, and pretrained vectors. Expected values are those of the definition.
#include <map>
#include <mutex>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "embedding/rows/restrict.hpp"
#include "embedding/rows/table_set.hpp"
#include "launch/training/pretrained.hpp"
#include "launch/training/table_checkpoint.hpp"
#include "launch/training/table_digests.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"
#include "tests/embedding/stores/store_places.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

TableOptions options_of(const KvCreator& creator) {
  TableOptions options;
  options.name = "items";
  options.groups = {{"value", 2, Constant{0.5f}, {}, Sgd{1}, {}}};
  options.restrict_policy = Frequency{};
  options.kv_creator = creator;
  return options;
}

std::vector<Key> own_keys(const Table<Cpu>& table, const std::set<Key>& keys) {
  std::vector<Key> own;
  for (const Key key : keys) {
    if (table.shards().contains(shard_of(table.partitioner(), key))) {
      own.push_back(key);
    }
  }
  return own;
}

/// One step in which each of the keys has the gradient (1, 1), whoever owns it.
void step(Stream<Cpu>& stream, TableSet<Cpu>& tables, const std::set<Key>& keys,
          float gradient = 1) {
  Table<Cpu>& table = *tables.tables().front();
  const std::vector<Key> own = own_keys(table, keys);
  std::vector<RowId> rows(own.size(), kNoRow);
  std::vector<float> gradients(2 * own.size(), gradient);
  table.add({.size = std::ssize(own),
             .keys = own.data(),
             .rows = rows.data(),
             .values = gradients.data(),
             .steps = -1,
             .keep = {}});
  tables.apply(stream, {});
}

/// The first number of each row of this rank.
std::map<Key, float> rows_of(const Table<Cpu>& table) {
  std::map<Key, float> rows;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    const ShardContent content = table.shard_content(shard);
    std::vector<float> values(2 * content.keys.size());
    table.copy_column(content, table.columns().front(), values.data());
    for (std::size_t i = 0; i < content.keys.size(); ++i) {
      rows[content.keys[i]] = values[2 * i];
    }
  }
  return rows;
}

/// Keys of a step: some come often, many once.
std::set<Key> keys_of(std::uint64_t t) {
  std::set<Key> keys;
  for (std::uint64_t i = 0; i < 300; ++i) {
    keys.insert(mix64(mix64(t) + i) % (i < 150 ? 60 : 3000) * 0x0123456789ABCDEFull);
  }
  return keys;
}

struct Admitted {
  std::map<Key, float> rows;
  std::int64_t dropped = 0;

  bool operator==(const Admitted&) const = default;
};

/// Eight steps by the definition of admission by count.
Admitted admitted_by_definition(std::int64_t after) {
  Admitted result;
  std::map<Key, std::int64_t> sighted;
  for (std::uint64_t t = 1; t <= 8; ++t) {
    for (const Key key : keys_of(t)) {
      if (result.rows.count(key) == 0 && ++sighted[key] < after) {
        ++result.dropped;
        continue;
      }
      result.rows.try_emplace(key, 0.5f).first->second -= 1;
    }
  }
  return result;
}

class StoredChanges : public StorePlaces {};

INSTANTIATE_TEST_SUITE_P(Everywhere, StoredChanges,
                         ::testing::Values("host", "rocksdb", "redis", "own", "tiered_rocksdb",
                                           "tiered_redis", "tiered_own", "tiered_host"),
                         [](const auto& which) { return which.param; });

TEST_P(StoredChanges, AdmissionByCountIsItsDefinitionOnAnyNumberOfRanks) {
  const Admitted expected = admitted_by_definition(3);
  EXPECT_GT(expected.dropped, 0);
  for (const int ranks : {1, 2, 3}) {
    TableOptions options = options_of(creator(fmt::format("of{}", ranks)));
    options.admit_after = 3;
    Admitted all;
    std::mutex mutex;
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      const Table<Cpu>& table = tables.create(options);
      for (std::uint64_t t = 1; t <= 8; ++t) {
        step(stream, tables, keys_of(t));
      }
      const std::lock_guard lock(mutex);
      all.rows.merge(rows_of(table));
      all.dropped += table.dropped();
    });
    EXPECT_TRUE(all == expected) << ranks << " ranks";
  }
}

TEST_P(StoredChanges, AdmissionGoesOnFromACheckpointOnAnotherNumberOfRanks) {
  const auto options = [&](const std::string& part) {
    TableOptions made = options_of(creator(part));
    made.admit_after = 3;
    return made;
  };
  std::string path;
  run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    tables.create(options("first"));
    for (std::uint64_t t = 1; t <= 4; ++t) {
      step(stream, tables, keys_of(t));
    }
    const std::string saved = save_tables(folder_.path("saved"), tables, stream,
                                          {.step = 4, .state = {}, .dense = {}, .retention = {}});
    if (communicator.rank() == 0) {
      path = saved;
    }
  });
  std::map<Key, float> rows;
  std::mutex mutex;
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    const Table<Cpu>& table = tables.create(options("second"));
    load_tables(path, tables, stream);
    for (std::uint64_t t = 5; t <= 8; ++t) {
      step(stream, tables, keys_of(t));
    }
    const std::lock_guard lock(mutex);
    rows.merge(rows_of(table));
  });
  EXPECT_TRUE(rows == admitted_by_definition(3).rows);
}

/// Expects these changes of the shards of all ranks together.
void expect_changes(const Table<Cpu>& table, const std::set<Key>& changed,
                    const std::set<Key>& removed) {
  const std::vector<Key> mine = own_keys(table, changed), lost = own_keys(table, removed);
  std::set<Key> all_changed, all_removed;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    const ShardChanges changes = table.changes(shard);
    EXPECT_TRUE(std::is_sorted(changes.changed.begin(), changes.changed.end()));
    all_changed.insert(changes.changed.begin(), changes.changed.end());
    all_removed.insert(changes.removed.begin(), changes.removed.end());
  }
  EXPECT_EQ(all_changed, std::set<Key>(mine.begin(), mine.end()));
  EXPECT_EQ(all_removed, std::set<Key>(lost.begin(), lost.end()));
}

TEST_P(StoredChanges, AreThoseSinceTheMark) {
  for (const int ranks : {1, 3}) {
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      Table<Cpu>& table = tables.create(options_of(creator(fmt::format("of{}", ranks))));
      step(stream, tables, {1, 2, 4, 5});
      EXPECT_THROW(table.changes(table.shards().begin), Error);
      tables.mark_changes(stream);
      expect_changes(table, {}, {});
      step(stream, tables, {2, 3});
      expect_changes(table, {2, 3}, {});
      // 2 has been stepped twice; 1, 3, 4 and 5 once.
      restrict_rows(stream, communicator, table, 2, 0);
      expect_changes(table, {2}, {3, 4, 5});
      step(stream, tables, {4});
      expect_changes(table, {2, 4}, {3, 5});
      tables.mark_changes(stream);
      expect_changes(table, {}, {});
      table.clear(stream);
      expect_changes(table, {}, {1, 2, 4});
      const std::vector<Key> mine = own_keys(table, {6}), made = own_keys(table, {4});
      const float values[] = {9, 9};
      table.assign(stream, mine, values);
      std::vector<RowId> rows(made.size());
      table.find_or_insert(stream, made, rows.data());
      expect_changes(table, {4, 6}, {1, 2});
    });
  }
}

TEST_P(StoredChanges, RowsThatLeaveMemoryAreNotRemoved) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(options_of(creator()));
    tables.mark_changes(stream);
    std::set<Key> all;
    for (Key first = 0; first < 40'000; first += 4000) {  // more than kLeastFastBytes has room for
      std::set<Key> keys;
      for (Key key = first; key < first + 4000; ++key) {
        keys.insert(key);
      }
      step(stream, tables, keys);
      all.merge(keys);
    }
    expect_changes(table, all, {});
  });
}

TEST_P(StoredChanges, PretrainedVectorsAreThoseOfTheFileOnAnyNumberOfRanks) {
  std::string text;
  for (Key key = 0; key < 30'000; ++key) {
    text += fmt::format("{} {} -1\n", key * 977, 0.5 * static_cast<double>(key));
  }
  folder_.write("v.txt", text);
  for (const int ranks : {1, 3}) {
    std::map<Key, float> rows;
    std::mutex mutex;
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      const Table<Cpu>& table = tables.create(options_of(creator(fmt::format("of{}", ranks))));
      EXPECT_EQ(load_pretrained({"items", folder_.path("v.txt"), false}, tables, stream), 30'000);
      const std::lock_guard lock(mutex);
      rows.merge(rows_of(table));
    });
    ASSERT_EQ(rows.size(), 30'000u);
    for (const auto& [key, value] : rows) {
      ASSERT_EQ(value, 0.5f * static_cast<float>(key / 977)) << key;
    }
  }
}

TEST_P(StoredChanges, AVectorWhoseKeyHasARowIsRefusedOnAllRanks) {
  std::string text;
  for (Key key = 0; key < 300; ++key) {
    text += fmt::format("{} 1 2\n", key);
  }
  folder_.write("twice.txt", text + "7 3 4\n");
  folder_.write("once.txt", text);
  std::mutex mutex;
  std::vector<std::string> errors;
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    tables.create(options_of(creator()));
    for (const char* name : {"twice.txt", "once.txt"}) {
      try {
        step(stream, tables, name == std::string("once.txt") ? std::set<Key>{7} : std::set<Key>{});
        load_pretrained({"items", folder_.path(name), false}, tables, stream);
        ADD_FAILURE() << name;
      } catch (const Error& error) {
        const std::lock_guard lock(mutex);
        errors.push_back(error.text());
      }
    }
  });
  ASSERT_EQ(errors.size(), 4u);
  for (const std::string& error : errors) {
    const bool twice =
        error.find("twice.txt:301: expected each key once: found 7") != std::string::npos;
    const bool rows = error.find("expected no rows before vectors are loaded") != std::string::npos;
    EXPECT_TRUE(twice || rows) << error;
  }
}

}  // namespace
}  // namespace keyshard::testing
