// Ids of a SquashedEmbedding with weights: sums by hand.
#include <cmath>

#include <gtest/gtest.h>

#include "embedding/layers/embedding.hpp"
#include "embedding/layers/squashed_embedding.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

/// Rows of one number: key k has k.
LayerOptions options_of(const std::string& combiner, ExchangeMode exchange = ExchangeMode::rows) {
  LayerOptions options;
  options.embedding_size = 1;
  options.name = "items";
  options.combiner = combiner;
  options.optimizer = Sgd{1};
  options.exchange = exchange;
  options.pool_order = exchange == ExchangeMode::rows ? PoolOrder::bag : PoolOrder::shard;
  return options;
}

void fill(Stream<Cpu>& stream, TableSet<Cpu>& tables) {
  Table<Cpu>& table = *tables.tables().front();
  for (Key key = 0; key < 8; ++key) {
    const float value = static_cast<float>(key);
    if (table.shards().contains(shard_of(table.partitioner(), key))) {
      table.assign(stream, Span<const Key>(&key, 1), &value);
    }
  }
}

/// What rank 0 of `ranks` gets for its ids; the other ranks have none, and no weights.
std::vector<float> pooled(int ranks, const std::string& combiner, const IdsView& ids,
                          const CallOptions& call, ExchangeMode exchange = ExchangeMode::rows) {
  std::vector<float> out;
  testing::run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, options_of(combiner, exchange));
    fill(stream, tables);
    if (communicator.rank() == 0) {
      const auto output = layer(stream, ids, call);
      out.assign(output.values.data(), output.values.data() + output.values.size());
    } else {
      std::vector<std::int64_t> none = ids.shape;
      none[0] = 0;
      layer(stream, {{}, none, {}});
    }
  });
  return out;
}

TEST(LayerWeights, MultiplyRowsAndDivideTheirSum) {
  const std::vector<Key> ids{1, 2, 3, 4, 4, 5};
  const std::vector<float> weights{1, 3, -2, 2, 0.5f, -0.5f};
  const IdsView view{ids, {3, 2}, {}};
  for (const int ranks : {1, 3}) {
    EXPECT_EQ(pooled(ranks, "sum", view, {.weights = weights}), (std::vector<float>{7, 2, -0.5f}));
    // The weights of the last two bags add up to 0.
    EXPECT_EQ(pooled(ranks, "mean", view, {.weights = weights}), (std::vector<float>{1.75f, 0, 0}));
    const std::vector<float> roots = pooled(ranks, "sqrtn", view, {.weights = weights});
    EXPECT_FLOAT_EQ(roots[0], 7 / std::sqrt(10.0f));
    EXPECT_FLOAT_EQ(roots[1], 2 / std::sqrt(8.0f));
  }
}

TEST(LayerWeights, TravelToTheOwnersOfReducedTables) {
  const std::vector<Key> ids{1, 2, 3, 4, 4, 5};
  const std::vector<float> weights{1, 3, -2, 2, 0.5f, -0.5f};
  const IdsView view{ids, {3, 2}, {}};
  for (const ExchangeMode exchange : {ExchangeMode::reduced, ExchangeMode::automatic}) {
    for (const int ranks : {1, 3}) {
      EXPECT_EQ(pooled(ranks, "sum", view, {.weights = weights}, exchange),
                (std::vector<float>{7, 2, -0.5f}));
      EXPECT_EQ(pooled(ranks, "mean", view, {.weights = weights}, exchange),
                (std::vector<float>{1.75f, 0, 0}));
      EXPECT_EQ(pooled(ranks, "sum", view, {}, exchange), (std::vector<float>{3, 7, 9}));
    }
  }
}

/// The rows of keys 1 and 2 after a step of three ranks, of which only the first one has ids.
std::vector<float> stepped(ExchangeMode exchange) {
  std::vector<float> rows;
  testing::run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, options_of("mean", exchange));
    fill(stream, tables);
    const bool root = communicator.rank() == 0;
    const std::vector<Key> ids = root ? std::vector<Key>{1, 2, 1} : std::vector<Key>();
    const std::vector<float> weights = root ? std::vector<float>{1, 2, -5} : std::vector<float>();
    const std::int64_t samples = root ? 1 : 0;
    const auto output = layer(stream, {ids, {samples, 3}, {}}, {.weights = weights});
    const float upstream = 8;
    layer.backward(stream, output, &upstream);
    tables.apply(stream, {});
    const auto after = layer(stream, {ids, {3 * samples, 1}, {}}, {.training = false});
    if (root) {
      rows.assign(after.values.data(), after.values.data() + 2);
    }
  });
  return rows;
}

TEST(LayerWeights, MultiplyTheGradientsAtTheOwnersOfReducedTables) {
  for (const auto exchange : {ExchangeMode::rows, ExchangeMode::reduced, ExchangeMode::automatic}) {
    EXPECT_EQ(stepped(exchange), (std::vector<float>{1 - 8.0f * (1 - 5) / -2, 2 - 8.0f * 2 / -2}));
  }
}

TEST(LayerWeights, GoWithTheirIdsThroughMasksAndAxes) {
  const std::vector<Key> ids{1, 2, 3, 4, 5, 6, 7, 1};
  const std::vector<float> weights{1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<std::uint8_t> mask{1, 0, 1, 1, 1, 1, 0, 1};
  EXPECT_EQ(pooled(1, "sum", {ids, {2, 4}, {}}, {.mask = mask, .weights = weights}),
            (std::vector<float>{1 + 9 + 16, 25 + 36 + 8}));
  // [1, 4, 2]: bags are 1 3 5 7 and 2 4 6 1; their sums are added without weights.
  EXPECT_EQ(pooled(1, "sum", {ids, {1, 4, 2}, {}}, {.weights = weights}),
            (std::vector<float>{(1 + 9 + 25 + 49) + (4 + 16 + 36 + 8)}));
}

TEST(LayerWeights, MultiplyTheGradientOfARow) {
  testing::run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, options_of("mean"));
    fill(stream, tables);
    const std::vector<Key> ids{1, 2, 1};
    const std::vector<float> weights{1, 2, 1};
    const auto output = layer(stream, {ids, {1, 3}, {}}, {.weights = weights});
    const float upstream = 8;
    layer.backward(stream, output, &upstream);
    tables.apply(stream, {});
    const auto after = layer(stream, {ids, {3, 1}, {}}, {.training = false});
    EXPECT_EQ(after.values.data()[0], 1 - 8.0f * (1 + 1) / 4);
    EXPECT_EQ(after.values.data()[1], 2 - 8.0f * 2 / 4);
  });
}

TEST(LayerWeights, AreRefusedWhereTheyHaveNoMeaning) {
  testing::run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> best(tables, options_of("max"));
    LayerOptions other = options_of("sum");
    other.name = "plain";
    Embedding<Cpu> plain(tables, other);
    const std::vector<Key> ids{1, 2};
    const std::vector<float> two{1, 1}, three{1, 1, 1};
    EXPECT_THROW(best(stream, {ids, {1, 2}, {}}, {.weights = two}), Error);
    EXPECT_THROW(plain(stream, {ids, {2}, {}}, {.weights = two}), Error);
    other.name = "pooled";
    SquashedEmbedding<Cpu> pooled(tables, other);
    EXPECT_THROW(pooled(stream, {ids, {1, 2}, {}}, {.weights = three}), Error);
    EXPECT_NO_THROW(pooled(stream, {ids, {1, 2}, {}}, {.weights = two}));
  });
}

TEST(LayerWeights, OfIdsThatAreAllMaskedCountForNothing) {
  testing::run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, options_of("mean"));
    const std::vector<Key> ids{1, 2};
    const std::vector<float> weights{1, 2};
    const std::vector<std::uint8_t> mask(2, communicator.rank() == 0 ? 0 : 1);
    const LayerOutput<Cpu> output =
        layer(stream, {ids, {1, 2}, {}}, {.mask = mask, .weights = weights});
    EXPECT_EQ(output.values[0] == 0.0f, communicator.rank() == 0);
  });
}

}  // namespace
}  // namespace keyshard
