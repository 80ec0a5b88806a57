// restrict.json: which rows stay, on 1 and 3 ranks. Of the rows that are tied at the cut, those of
// the lowest keys stay.
#include "embedding/rows/restrict.hpp"

#include <algorithm>
#include <mutex>
#include <set>

#include <fmt/format.h>

#include "embedding/rows/table_set.hpp"
#include "tests/golden/sections.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

using Keys = std::set<std::int64_t>;

Keys keys_of(const GoldenValue& value) {
  const std::vector<std::int64_t>& keys = value.tensor().integers;
  return {keys.begin(), keys.end()};
}

/// Those of the keys that this rank owns.
std::vector<Key> own(const Table<Cpu>& table, const Keys& keys) {
  std::vector<Key> mine;
  for (const std::int64_t key : keys) {
    if (table.shards().contains(shard_of(table.partitioner(), static_cast<Key>(key)))) {
      mine.push_back(static_cast<Key>(key));
    }
  }
  return mine;
}

void train(Stream<Cpu>& stream, TableSet<Cpu>& tables, const Keys& batch) {
  Table<Cpu>& table = *tables.tables().front();
  const std::vector<Key> keys = own(table, batch);
  std::vector<RowId> rows(keys.size());
  std::vector<float> gradients(keys.size(), 1.0f);
  table.find(stream, keys, rows.data());
  table.add({.size = static_cast<std::int64_t>(keys.size()),
             .keys = keys.data(),
             .rows = rows.data(),
             .values = gradients.data(),
             .steps = table.steps(),
             .keep = {}});
  tables.apply(stream, {});
}

Keys keys_in(const Table<Cpu>& table) {
  Keys keys;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    for (const Key key : table.shard_rows(shard).keys) {
      keys.insert(static_cast<std::int64_t>(key));
    }
  }
  return keys;
}

/// The keys over all ranks after each restriction of a scenario.
std::vector<Keys> kept_of(const GoldenValue& scenario, int ranks) {
  std::vector<Keys> kept(scenario["restrict"].list().size());
  std::mutex mutex;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableOptions options;
    options.name = "table";
    options.groups = {{"value", 1, Constant{0}, {}, Adam{}, {}}};
    options.restrict_policy = policy_of(scenario["policy"].text());
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(options);
    for (const GoldenValue& batch : scenario["batches"].list()) {
      train(stream, tables, keys_of(batch));
    }
    const std::vector<Key> upserted = own(table, keys_of(scenario["upserted_untrained"]));
    table.assign(stream, upserted, std::vector<float>(upserted.size()).data());
    for (std::size_t r = 0; r < kept.size(); ++r) {
      const GoldenValue& call = scenario["restrict"].list()[r];
      restrict_rows(stream, communicator, table, call["num_reserved"].integer(),
                    call["trigger"].integer());
      const Keys mine = keys_in(table);
      const std::lock_guard lock(mutex);
      kept[r].insert(mine.begin(), mine.end());
    }
  });
  return kept;
}

void check(const GoldenValue& contract, const Keys& before, const Keys& kept, GoldenCase& one) {
  if (!contract["acts"].flag()) {
    one.expect(kept == before, "expected all rows to stay");
    return;
  }
  Keys expected = keys_of(contract["must_keep"]);
  const Keys tied = keys_of(contract["tied"]);
  std::int64_t left = contract["keep_of_tied"].integer();
  std::vector<std::int64_t> order(tied.begin(), tied.end());
  std::sort(order.begin(), order.end(),
            [](auto a, auto b) { return static_cast<Key>(a) < static_cast<Key>(b); });
  for (const std::int64_t key : order) {
    if (left-- > 0) {
      expected.insert(key);
    }
  }
  one.equal("keys that stay", {kept.begin(), kept.end()}, {expected.begin(), expected.end()});
}

}  // namespace

void run_restrict(const GoldenValue& file, Report& report) {
  for (const GoldenValue& scenario : file["scenarios"].list()) {
    for (const int ranks : {1, 3}) {
      report.run("restrict: scenarios",
                 fmt::format("{} {} on {} ranks", scenario["policy"].text(),
                             scenario["name"].text(), ranks),
                 [&](GoldenCase& one) {
                   const std::vector<Keys> kept = kept_of(scenario, ranks);
                   Keys before = keys_of(scenario["before"]["keys"]);
                   for (std::size_t r = 0; r < kept.size(); ++r) {
                     const GoldenValue& call = scenario["restrict"].list()[r];
                     if (!call["contract"].is_null()) {
                       check(call["contract"], before, kept[r], one);
                     }
                     before = kept[r];
                   }
                 });
    }
  }
}

}  // namespace keyshard::testing
