// Traces that are older than a step of their tables: a key that had no row at the lookup may have
// got a row in that step.
#include <gtest/gtest.h>

#include "embedding/lookup/lookup.hpp"
#include "embedding/rows/table_set.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

/// What rank 0 asks, one id of one sample; the other ranks ask nothing.
struct OneId {
  std::vector<Key> ids;
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int64_t> slice_offsets{0};
  Range run;

  OneId(Key key, const Communicator<Cpu>& communicator)
      : run{communicator.rank(), communicator.rank() + 1} {
    if (communicator.rank() == 0) {
      ids = {key};
      offsets.push_back(1);
    }
    slice_offsets.push_back(static_cast<std::int64_t>(ids.size()));
  }

  std::int64_t samples() const { return static_cast<std::int64_t>(ids.size()); }

  LookupInput input(std::int64_t ranks) const {
    return {{ids, offsets}, samples(), ranks, run, slice_offsets};
  }
};

/// The value of a key that has a row on this rank, nothing else in the table.
std::vector<float> only_row(const Table<Cpu>& table, Key key) {
  std::vector<float> values;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    const ShardRows rows = table.shard_rows(shard);
    for (std::size_t i = 0; i < rows.keys.size(); ++i) {
      EXPECT_EQ(rows.keys[i], key);
      values.push_back(0);
      table.copy_column(Span<const RowId>(&rows.rows[i], 1), {"value", 0, 1}, &values.back());
    }
  }
  return values;
}

TEST(LookupTrace, OfBeforeAStepGivesItsGradientsToTheRowsOfThatStep) {
  const Key key = 77;
  for (const int ranks : {1, 2}) {
    testing::run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableOptions options;
      options.name = "items";
      options.groups = {{"value", 1, Constant{0.5f}, {}, Sgd{1.0f}, {}}};
      TableSet<Cpu> tables(communicator);
      Table<Cpu>& table = tables.create(options);
      Lookup<Cpu> lookup(communicator, {&table}, {{"item", 0, {Sum{}}}});
      const OneId id(key, communicator);
      float pooled = 0;
      const MatrixView<float> out[] = {{&pooled, id.samples(), 1, 1}};
      const auto ask = [&] {
        return lookup.forward(stream, id.input(communicator.size()), true, {}, out);
      };
      const auto step = [&](const LookupTrace<Cpu>& trace, float gradient) {
        const MatrixView<const float> upstream[] = {{&gradient, id.samples(), 1, 1}};
        lookup.backward(stream, trace, upstream);
        tables.apply(stream, {});
      };

      // The key is new to both traces.
      const LookupTrace<Cpu> a = ask(), b = ask();
      step(a, 1);
      step(b, 2);

      const bool owned = table.shards().contains(shard_of(table.partitioner(), key));
      EXPECT_EQ(table.size(), owned ? 1 : 0) << ranks;
      EXPECT_EQ(only_row(table, key),
                owned ? std::vector<float>{0.5f - 1 - 2} : std::vector<float>())
          << ranks;
    });
  }
}

}  // namespace
}  // namespace keyshard
