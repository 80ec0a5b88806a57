// The lookup against its definition (lookup_problem.hpp), bit for bit: on 1 to 11 ranks, in every
// exchange mode, with shared tables, ragged bags, keys in one slice and in all, and empty ranks.
#include "embedding/lookup/lookup.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "runtime/fold.hpp"
#include "tests/embedding/lookup/run_problem.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

using testing::make_border_problem;
using testing::make_problem;
using testing::Outcome;
using testing::Problem;
using testing::reference;
using testing::run;
using testing::Vector;

struct Case {
  int ranks;
  int threads;
  ExchangeMode mode;
  PoolOrder order;
};

class LookupOnRanks : public ::testing::TestWithParam<Case> {};

TEST_P(LookupOnRanks, HasTheBitsOfItsDefinition) {
  const Case c = GetParam();
  for (unsigned seed = 1; seed <= 5; ++seed) {
    const Problem p = make_problem(seed, c.mode, c.order);

    const Outcome expected = reference(p);
    EXPECT_TRUE(run(p, c.ranks, c.threads) == expected) << "seed " << seed;
    EXPECT_TRUE(run(p, c.ranks, c.threads, testing::Ids::ahead) == expected) << "seed " << seed;
  }
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const int ranks : testing::rank_counts({1, 2, 3, 4, 5, 8, 11})) {
    for (const int threads : {1, 2}) {
      all.push_back({ranks, threads, ExchangeMode::rows, PoolOrder::bag});
      all.push_back({ranks, threads, ExchangeMode::rows, PoolOrder::shard});
      all.push_back({ranks, threads, ExchangeMode::reduced, PoolOrder::shard});
      all.push_back({ranks, threads, ExchangeMode::automatic, PoolOrder::shard});
    }
  }
  return all;
}

std::string name(const ::testing::TestParamInfo<Case>& info) {
  const char* modes[] = {"Rows", "Reduced", "Auto"};
  return "Ranks" + std::to_string(info.param.ranks) + "Threads" +
         std::to_string(info.param.threads) + modes[static_cast<int>(info.param.mode)] +
         (info.param.order == PoolOrder::shard ? "ByShard" : "ByBag");
}

INSTANTIATE_TEST_SUITE_P(AllModes, LookupOnRanks, ::testing::ValuesIn(cases()), name);

TEST(Lookup, IsItsDefinitionWithRowsOfAnyWidth) {
  for (const std::int64_t dim : {1, 4, 8, 16, 32, 64, 70}) {
    for (const PoolOrder order : {PoolOrder::bag, PoolOrder::shard}) {
      const Problem p = make_problem(4, ExchangeMode::rows, order, dim);
      const Outcome expected = reference(p);
      EXPECT_TRUE(run(p, 1, 2) == expected) << dim;
      EXPECT_TRUE(run(p, 3, 1) == expected) << dim;
    }
    const Problem p = make_problem(5, ExchangeMode::reduced, PoolOrder::shard, dim);
    EXPECT_TRUE(run(p, 2, 1) == reference(p)) << dim;
  }
}

TEST(Lookup, IsItsDefinitionWherePoolingReadsTheTablesThemselves) {
  for (const std::int64_t dim : {1, 5, 16, 64}) {
    for (const PoolOrder order : {PoolOrder::bag, PoolOrder::shard}) {
      Problem p = make_problem(6, ExchangeMode::rows, order, dim);
      for (FeatureOptions& feature : p.features) {
        for (AnyCombiner& combiner : feature.combiners) {
          combiner = back_needs_state(std::get<Combiner>(combiner)) ? Mean{} : combiner;
        }
      }
      const Outcome expected = reference(p);
      for (const int threads : testing::thread_counts({1, 2, 3})) {
        EXPECT_TRUE(run(p, 1, threads) == expected) << dim;
      }
      EXPECT_TRUE(run(p, 2, 1) == expected) << dim;
    }
  }
}

TEST(Lookup, IsItsDefinitionForKeysAtTheBordersOfRanksAndBagsOfOneShard) {
  for (const auto& [mode, order] : {std::pair(ExchangeMode::rows, PoolOrder::bag),
                                    {ExchangeMode::rows, PoolOrder::shard},
                                    {ExchangeMode::reduced, PoolOrder::shard},
                                    {ExchangeMode::automatic, PoolOrder::shard}}) {
    const Problem p = make_border_problem(mode, order);
    const Outcome expected = reference(p);
    for (const int ranks : testing::rank_counts({1, 2, 3, 4, 5, 8, 11})) {
      EXPECT_TRUE(run(p, ranks, 1 + ranks % 2) == expected) << ranks;
    }
  }
}

/// Owners of the shards of three tables, and the least number of ranks that has them.
struct Owners {
  int ranks;
  std::vector<std::vector<std::int64_t>> of_tables;
};

const std::vector<Owners> kOwners{
    {1, {{0}, {}, {0}}},           {2, {{1}, {1}, {1}}},      {2, {{1, 0}, {0}, {}}},
    {3, {{2, 0}, {2}, {1, 2, 0}}}, {4, {{3}, {2, 1, 0}, {}}},
};

TEST(Lookup, IsItsDefinitionWhicheverRanksOwnTheShardsOfATable) {
  for (const auto& [mode, order] : {std::pair(ExchangeMode::rows, PoolOrder::bag),
                                    {ExchangeMode::rows, PoolOrder::shard},
                                    {ExchangeMode::reduced, PoolOrder::shard},
                                    {ExchangeMode::automatic, PoolOrder::shard}}) {
    for (Problem p : {make_problem(7, mode, order), make_border_problem(mode, order)}) {
      const Outcome expected = reference(p);
      for (const Owners& owners : kOwners) {
        for (std::size_t t = 0; t < 3; ++t) {
          p.tables[t].owners = owners.of_tables[t];
        }
        for (int ranks = owners.ranks; ranks <= 4; ++ranks) {
          EXPECT_TRUE(run(p, ranks, 1 + ranks % 2) == expected)
              << ranks << " ranks, table 0 owned by " << owners.of_tables[0].size();
        }
      }
    }
  }
}

TEST(Lookup, OfSomeExchangeModesAsksTheOwnersOfEachTable) {
  Problem p = make_problem(8, ExchangeMode::reduced, PoolOrder::shard);
  p.tables[0].exchange = ExchangeMode::rows;
  p.tables[2].exchange = ExchangeMode::automatic;
  const Outcome expected = reference(p);
  for (const Owners& owners : kOwners) {
    for (std::size_t t = 0; t < 3; ++t) {
      p.tables[t].owners = owners.of_tables[t];
    }
    EXPECT_TRUE(run(p, 4, 1) == expected);
  }
}

TEST(Lookup, RefusesATableWithTheShardsOfOtherOwners) {
  testing::run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableOptions options = make_problem(1, ExchangeMode::rows, PoolOrder::bag).tables[0];
    options.owners = {1, 0};
    Table<Cpu> table(options, run_of(communicator.rank(), 2, kShards));
    EXPECT_THROW(Lookup<Cpu>(communicator, {&table}, {{"a", 0, {Sum{}, Sum{}}}}), Error);
  });
}

TEST(Lookup, AddsNoZeroToANegativeZero) {
  for (const auto mode : {ExchangeMode::rows, ExchangeMode::reduced}) {
    const Problem p = testing::make_zero_problem(mode);
    for (const int ranks : testing::rank_counts({1, 2, 3, 5, 8})) {
      // The gradient is -0: -0 - 1 * -0 = +0. If a zero were added to it, the gradient would be +0
      // and the row -0 - 1 * +0 = -0.
      for (const std::map<Key, Vector>& rows : run(p, ranks, 2).rows) {
        EXPECT_FALSE(rows.empty());
        for (const auto& [key, row] : rows) {
          for (const float x : row) {
            EXPECT_TRUE(x == 0 && !std::signbit(x)) << "key " << key << " on " << ranks << " ranks";
          }
        }
      }
    }
  }
}

TEST(Lookup, DiffersWhenSlicesAreCutOtherwise) {
  Problem p = make_problem(3, ExchangeMode::rows, PoolOrder::bag);
  const Outcome before = run(p, 1, 1);
  p.slice_samples = {p.samples(), 0, 0, 0, 0, 0, 0, 0};
  EXPECT_FALSE(run(p, 1, 1) == before);
}

TEST(Lookup, RefusesBagsThatDoNotFitTheBatch) {
  const Problem p = make_problem(1, ExchangeMode::rows, PoolOrder::bag);
  using Offsets = std::vector<std::int64_t>;
  const auto look_up = [&](Offsets offsets, Offsets slice_offsets, std::int64_t more_slices = 0) {
    const Range run{0, static_cast<std::int64_t>(slice_offsets.size()) - 1};
    testing::run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      Table<Cpu> table(p.tables[1], Range{0, kShards});
      Lookup<Cpu> lookup(communicator, {&table}, {{"b", 0, {Sum{}, Sum{}}}});
      std::vector<float> out(100);
      const MatrixView<float> views[] = {{out.data(), 3, 5, 5}, {out.data() + 50, 3, 1, 1}};
      const std::vector<Key> ids{1, 2, 3};
      lookup.forward(stream, {{ids, offsets}, 3, run.end + more_slices, run, slice_offsets}, true,
                     {}, views);
    });
  };

  for (const auto& offsets : {Offsets{0, 1, 3}, Offsets{0, 1, 2, 4}, Offsets{0, 2, 1, 3}}) {
    EXPECT_THROW(look_up(offsets, {0, 3}), Error);
  }
  EXPECT_NO_THROW(look_up({0, 1, 2, 3}, {0, 1, 3}));
  const Offsets too_many(kMostSlices + 2);  // deeper than a fold
  for (const auto& slices : {Offsets{0, 2}, Offsets{0, 1 << 20, 3}, too_many}) {
    EXPECT_THROW(look_up({0, 1, 2, 3}, slices), Error);
  }
  EXPECT_THROW(look_up({0, 1, 2, 3}, {0, 3}, 3), Error);  // a lone rank has all slices
}

/// A rank with bad ids says so while they are sent ahead; the tables are as they were, and the next
/// lookup is as any other.
TEST(Lookup, RefusesABatchThatIsSentAheadOnAllRanks) {
  const Problem p = make_problem(1, ExchangeMode::rows, PoolOrder::bag);
  testing::run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const std::int64_t rank = communicator.rank();
    Table<Cpu> table(p.tables[1], run_of(rank, 3, kShards));
    Lookup<Cpu> lookup(communicator, {&table}, {{"b", 0, {Sum{}, Sum{}}}});
    const std::unique_ptr<Communicator<Cpu>> beside = communicator.duplicate();
    const std::vector<Key> ids{1, 2};
    const std::vector<std::int64_t> good{0, 1, 2}, bad{0, 2, 1}, slices{0, 2};
    const auto prepare = [&](const std::vector<std::int64_t>& offsets) {
      const LookupInput input{{ids, offsets}, 2, 3, {rank, rank + 1}, slices};
      return lookup.prepare(stream, input, {}, beside.get());
    };
    try {
      prepare(rank == 1 ? bad : good);
      ADD_FAILURE() << "expected an error on rank " << rank;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), rank == 1 ? Kind::invalid_argument : Kind::communication);
      EXPECT_NE(
          error.text().find("expected bag offsets from 0 to the number of ids 2: found 0 to 1"),
          std::string::npos)
          << error.text();
    }
    EXPECT_EQ(table.size(), 0);
    std::vector<float> out(12);
    const MatrixView<float> views[] = {{out.data(), 2, 5, 5}, {out.data() + 10, 2, 1, 1}};
    EXPECT_EQ(lookup.forward(stream, prepare(good), true, views).traffic().ids, 2);
  });
}

/// The traffic of each of two ranks in a lookup of these bags in one table, pooled by shard.
std::vector<LookupTraffic> traffic_of(ExchangeMode mode,
                                      const std::vector<std::vector<Key>>& bags) {
  std::vector<LookupTraffic> traffic(2);
  testing::run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableOptions options;
    options.name = "items";
    options.groups = {{"values", 8, Constant{1}, {}, Sgd{1}, {}}};
    options.exchange = mode;
    options.pool_order = PoolOrder::shard;
    Table<Cpu> table(options, run_of(communicator.rank(), 2, kShards));
    Lookup<Cpu> lookup(communicator, {&table}, {{"items", 0, {Sum{}}}});
    std::vector<Key> ids;
    std::vector<std::int64_t> offsets{0};
    for (const std::vector<Key>& bag : bags) {
      ids.insert(ids.end(), bag.begin(), bag.end());
      offsets.push_back(static_cast<std::int64_t>(ids.size()));
    }
    const auto samples = static_cast<std::int64_t>(bags.size());
    std::vector<float> out(bags.size() * 8);
    const MatrixView<float> view{out.data(), samples, 8, 8};
    const std::vector<std::int64_t> slice_offsets{0, samples};
    const std::int64_t rank = communicator.rank();
    traffic[static_cast<std::size_t>(rank)] =
        lookup
            .forward(stream, {{ids, offsets}, samples, 2, {rank, rank + 1}, slice_offsets}, true,
                     {}, Span<const MatrixView<float>>(&view, 1))
            .traffic();
  });
  return traffic;
}

TEST(Lookup, AutoAsksInTheFormOfFewerBytes) {
  // Two bags of 64 ids, all distinct: about 64 rows of 8 floats from the other rank, and 64
  // gradients back, against a few words and two vectors a bag.
  std::vector<std::vector<Key>> long_bags(2);
  for (Key key = 0; key < 128; ++key) {
    long_bags[key / 64].push_back(key);
  }
  // Two hundred bags of the same four ids: four rows against two vectors a bag.
  const std::vector<std::vector<Key>> same_bags(200, {1, 2, 3, 4});
  for (const auto& [bags, reduced] : {std::pair(long_bags, 1), {same_bags, 0}}) {
    const auto rows = traffic_of(ExchangeMode::rows, bags);
    const auto parts = traffic_of(ExchangeMode::reduced, bags);
    const auto chosen = traffic_of(ExchangeMode::automatic, bags);
    for (std::size_t rank = 0; rank < 2; ++rank) {
      EXPECT_EQ(rows[rank].reduced_tables, 0);
      EXPECT_EQ(parts[rank].reduced_tables, 1);
      EXPECT_EQ(chosen[rank].reduced_tables, reduced);
      EXPECT_EQ(chosen[rank].bytes, std::min(rows[rank].bytes, parts[rank].bytes));
    }
  }
}

/// Collectives of a forward and backward of so many features, each with its table.
std::uint64_t collectives_of(std::int64_t features) {
  std::uint64_t collectives = 0;
  testing::run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    std::vector<std::unique_ptr<Table<Cpu>>> tables;
    std::vector<Table<Cpu>*> borrowed;
    std::vector<FeatureOptions> options;
    for (std::int64_t f = 0; f < features; ++f) {
      TableOptions table;
      table.name = "table" + std::to_string(f);
      table.groups = {{"values", 2, Constant{1}, {}, Sgd{1}, {}}};
      tables.push_back(
          std::make_unique<Table<Cpu>>(table, run_of(communicator.rank(), 2, kShards)));
      borrowed.push_back(tables.back().get());
      options.push_back({table.name, static_cast<int>(f), {Sum{}}});
    }
    Lookup<Cpu> lookup(communicator, borrowed, options);
    const std::vector<Key> ids(static_cast<std::size_t>(features), 7);
    std::vector<std::int64_t> offsets;
    for (std::int64_t bag = 0; bag <= features; ++bag) {
      offsets.push_back(bag);
    }
    std::vector<float> floats(static_cast<std::size_t>(2 * features));
    const MatrixView<float> pooled{floats.data(), 1, 2 * features, 2 * features};
    const MatrixView<const float> gradient{floats.data(), 1, 2 * features, 2 * features};
    const std::vector<std::int64_t> slice_offsets{0, 1};
    const std::int64_t rank = communicator.rank();
    const std::uint64_t before = communicator.progress().collectives();
    const LookupTrace<Cpu> trace =
        lookup.forward(stream, {{ids, offsets}, 1, 2, {rank, rank + 1}, slice_offsets}, true, {},
                       Span<const MatrixView<float>>(&pooled, 1));
    lookup.backward(stream, trace, Span<const MatrixView<const float>>(&gradient, 1));
    if (rank == 0) {
      collectives = communicator.progress().collectives() - before;
    }
  });
  return collectives;
}

TEST(Lookup, AllFeaturesAndTablesTravelTogether) {
  EXPECT_EQ(collectives_of(1), 4u);  // counts, keys, rows, gradients
  EXPECT_EQ(collectives_of(5), 4u);
}

}  // namespace
}  // namespace keyshard
