// Combiners of a program that have a state: in every exchange mode, on any number of ranks, the
// bits of the definition of a lookup; and a combiner worked by hand.
#include "embedding/lookup/own_states.hpp"

#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "tests/embedding/lookup/run_problem.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

using testing::make_problem;
using testing::Outcome;
using testing::Problem;
using testing::reference;
using testing::run;

/// A built-in combiner, brought along by a program.
template <class C>
struct Brought : C {};

/// Brings along those combiners of a problem that `Some` lists; the others stay built in.
template <class... Some>
Problem with_own(Problem p) {
  for (FeatureOptions& feature : p.features) {
    for (AnyCombiner& combiner : feature.combiners) {
      const Combiner built_in = std::get<Combiner>(combiner);
      ((std::holds_alternative<Some>(built_in) ? (combiner = own_state_combiner(Brought<Some>{}), 0)
                                               : 0),
       ...);
    }
  }
  return p;
}

const std::pair<ExchangeMode, PoolOrder> kModes[] = {{ExchangeMode::rows, PoolOrder::bag},
                                                     {ExchangeMode::rows, PoolOrder::shard},
                                                     {ExchangeMode::reduced, PoolOrder::shard},
                                                     {ExchangeMode::automatic, PoolOrder::shard}};

TEST(OwnStates, HaveTheBitsOfTheDefinitionInEveryMode) {
  for (const auto& [mode, order] : kModes) {
    const Problem p = make_problem(11, mode, order);
    const Outcome expected = reference(p);
    const Problem all = with_own<Sum, Mean, Min, Max, SqrtN, Variance, Std, LogSumExp>(p);
    const Problem some = with_own<Mean, Max, Std>(p);
    for (const int ranks : testing::rank_counts({1, 2, 3, 4, 5, 8})) {
      EXPECT_TRUE(run(all, ranks, 1 + ranks % 2) == expected) << ranks << " ranks";
      EXPECT_TRUE(run(some, ranks, 1) == expected) << ranks << " ranks, some";
    }
  }
}

/// The sum of the cubes of a column.
struct Cubes {
  static constexpr const char* kName = "cubes";

  struct State {
    double sum;
  };

  struct Back {
    float gradient;
  };

  static State start(float x) { return {static_cast<double>(x) * x * x}; }

  static State add(State s, float x) { return merge(s, start(x)); }

  static State merge(State a, State b) { return {a.sum + b.sum}; }

  static float value(State s, std::int64_t) { return static_cast<float>(s.sum); }

  static Back back(float g, State, std::int64_t) { return {g}; }

  static float gradient(Back back, float x) { return 3 * back.gradient * x * x; }
};

/// Column d of key k is k + d.
struct KeyPlusColumn {
  void fill(std::uint64_t /*seed*/, Key key, std::int64_t dim, float* row) const {
    for (std::int64_t d = 0; d < dim; ++d) {
      row[d] = static_cast<float>(key) + static_cast<float>(d);
    }
  }
};

void expect_row(const Table<Cpu>& table, Stream<Cpu>& stream, Key key,
                const std::vector<float>& row) {
  if (table.shards().contains(shard_of(table.partitioner(), key))) {
    RowId found = kNoRow;
    std::vector<float> values(row.size());
    table.find(stream, Span<const Key>(&key, 1), &found);
    table.read(stream, Span<const Key>(&key, 1), &found, false, values.data());
    EXPECT_EQ(values, row) << key;
  }
}

TEST(OwnStates, AreReducedAtTheOwnersWhereTheTableSaysSo) {
  LayerOptions options;
  options.name = "items";
  options.embedding_size = 2;
  options.initializer = own_initializer(KeyPlusColumn{});
  options.combiner = own_state_combiner(Cubes{});
  options.pool_order = PoolOrder::shard;
  options.optimizer = Sgd{1};
  for (const ExchangeMode mode : {ExchangeMode::rows, ExchangeMode::reduced}) {
    options.exchange = mode;
    for (const int ranks : {1, 2, 3}) {
      testing::run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
        TableSet<Cpu> tables(communicator);
        SquashedEmbedding<Cpu> layer(tables, options);
        // The bag {1, 2, 2} of rank 0 alone; the others have none.
        const std::vector<Key> ids =
            communicator.rank() == 0 ? std::vector<Key>{1, 2, 2} : std::vector<Key>{};
        const auto bags = static_cast<std::int64_t>(ids.size()) / 3;
        const LayerOutput<Cpu> output = layer(stream, {ids, {bags, 3}, {}});
        EXPECT_EQ(output.trace.traffic().reduced_tables, mode == ExchangeMode::reduced ? 1 : 0);
        if (bags == 1) {
          EXPECT_EQ(output.values.data()[0], 1 + 8 + 8);
          EXPECT_EQ(output.values.data()[1], 8 + 27 + 27);
        }
        const std::vector<float> upstream(static_cast<std::size_t>(2 * bags), 0.5f);
        layer.backward(stream, output, upstream.data());
        tables.apply(stream, {});
        // Rows lose 0.5 * 3 x^2 for each time that they are in the bag.
        expect_row(layer.table(), stream, 1, {1 - 1.5f, 2 - 6});
        expect_row(layer.table(), stream, 2, {2 - 12, 3 - 27});
      });
    }
  }
}

TEST(OwnStates, ReduceFurtherAxesAndHaveAConfigByTheirName) {
  testing::run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options;
    options.name = "items";
    options.embedding_size = 1;
    options.initializer = own_initializer(KeyPlusColumn{});
    options.combiner = own_state_combiner(Cubes{});
    SquashedEmbedding<Cpu> layer(tables, options);
    const std::vector<Key> ids{1, 2};
    const LayerOutput<Cpu> output = layer(stream, {ids, {1, 2, 1}, {}});
    EXPECT_EQ(output.values.data()[0], 729);  // (1^3 + 2^3)^3
    OwnRules rules;
    rules.combiners = {own_state_combiner(Cubes{})};
    EXPECT_STREQ(name_of(any_combiner_of("cubes", rules)), "cubes");
  });
}

}  // namespace
}  // namespace keyshard
