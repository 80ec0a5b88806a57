// The weights of a layer: views, get_weights, set_weights, count_params, and build.
#include <functional>
#include <map>
#include <mutex>

#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

using Rows = std::map<Key, std::vector<float>>;

LayerOptions items() {
  LayerOptions options;
  options.name = "items";
  options.embedding_size = 2;
  options.initializer = Constant{7};
  options.optimizer = Adagrad{1, 0, 0, false};
  return options;
}

/// Keys first .. first + n with rows (k, -k).
LayerWeights weights_of(Key first, std::int64_t n) {
  LayerWeights weights{"float32", 2, {}, {}};
  for (std::int64_t i = 0; i < n; ++i) {
    const Key key = first + static_cast<Key>(i);
    weights.keys.push_back(key);
    weights.values.insert(weights.values.end(),
                          {static_cast<float>(key), -static_cast<float>(key)});
  }
  return weights;
}

/// The rows of all ranks.
Rows all_rows(Communicator<Cpu>& communicator, const TableLayer<Cpu>& layer) {
  const LayerWeights mine = layer.get_weights();
  const std::vector<Key> keys = communicator.gather_joined(Span<const Key>(mine.keys));
  const std::vector<float> values = communicator.gather_joined(Span<const float>(mine.values));
  Rows rows;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    rows[keys[i]] = {values[2 * i], values[2 * i + 1]};
  }
  EXPECT_EQ(rows.size(), keys.size());
  return rows;
}

/// One step with gradient 1 for the key, asked for by the first rank.
void step(Communicator<Cpu>& communicator, Stream<Cpu>& stream, TableSet<Cpu>& tables,
          SquashedEmbedding<Cpu>& layer, Key key) {
  const bool asks = communicator.rank() == 0;
  const std::vector<std::int64_t> offsets{0, asks ? 1 : 0};
  const LayerOutput<Cpu> output = layer(stream, {Span<const Key>(&key, asks ? 1 : 0), {}, offsets});
  layer.backward(stream, output, std::vector<float>{1, 1}.data());
  tables.apply(stream, {});
}

TEST(Weights, OfAllRanksReplaceTheTable) {
  for (const int ranks : {1, 2, 3}) {
    run_ranks(ranks, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      SquashedEmbedding<Cpu> layer(tables, items());
      layer.build({std::nullopt, 3});
      step(communicator, stream, tables, layer, 1000);
      // Rank r gives the keys 10 r .. 10 r + 10.
      layer.set_weights(stream, weights_of(static_cast<Key>(10 * communicator.rank()), 10));
      const Rows rows = all_rows(communicator, layer);
      EXPECT_EQ(rows.size(), static_cast<std::size_t>(10 * communicator.size()));
      EXPECT_EQ(rows.at(3), (std::vector<float>{3, -3}));
      EXPECT_EQ(rows.count(1000), 0u);
      EXPECT_EQ(layer.count_params(), 20 * communicator.size());
      // The state is that of a new row: the first step of Adagrad with rate 1 goes down by 1.
      step(communicator, stream, tables, layer, 3);
      EXPECT_EQ(all_rows(communicator, layer).at(3), (std::vector<float>{2, -4}));
    });
  }
}

TEST(Weights, ComeSortedByShardAndKeyAndGoBack) {
  for (const int ranks : {1, 2, 3}) {
    run_ranks(ranks, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      SquashedEmbedding<Cpu> layer(tables, items());
      layer.build({4});
      const bool gives = communicator.rank() == 0;
      layer.set_weights(stream, gives ? weights_of(0, 3000) : weights_of(0, 0));
      const LayerWeights mine = layer.get_weights();
      EXPECT_EQ(mine.embedding_size, 2);
      std::pair<std::uint32_t, Key> before{0, 0};
      for (std::size_t i = 0; i < mine.keys.size(); ++i) {
        const std::pair<std::uint32_t, Key> at{shard_of(layer.table().partitioner(), mine.keys[i]),
                                               mine.keys[i]};
        EXPECT_TRUE(layer.table().shards().contains(at.first));
        EXPECT_TRUE(i == 0 || before < at);
        EXPECT_EQ(mine.values[2 * i], static_cast<float>(mine.keys[i]));
        before = at;
      }
      layer.set_weights(stream, mine);
      EXPECT_EQ(layer.get_weights(), mine);
    });
  }
}

TEST(Weights, AreDroppedWithTheGradientsThatNoStepHasUsed) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, items());
    const Key key = 3;
    const std::vector<std::int64_t> offsets{0, 1};
    const IdsView ids{Span<const Key>(&key, 1), {}, offsets};
    layer.backward(stream, layer(stream, ids), std::vector<float>{1, 1}.data());
    const LayerOutput<Cpu> late = layer(stream, ids);
    layer.set_weights(stream, communicator.rank() == 0 ? weights_of(1, 5) : weights_of(0, 0));
    tables.apply(stream, {});
    EXPECT_EQ(all_rows(communicator, layer).at(3), (std::vector<float>{3, -3}));
    // The gradients of a call from before find the row at its new place.
    layer.backward(stream, late, std::vector<float>{1, 1}.data());
    tables.apply(stream, {});
    EXPECT_EQ(all_rows(communicator, layer).at(3), (std::vector<float>{2, -4}));
  });
}

/// Every rank refuses what rank 1 of two gives; the rows stay.
void expect_refused(const LayerWeights& bad, const std::string& part) {
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, items());
    layer.build({4});
    const bool first = communicator.rank() == 0;
    layer.set_weights(stream, first ? weights_of(1, 5) : weights_of(0, 0));
    const Rows before = all_rows(communicator, layer);
    try {
      layer.set_weights(stream, first ? weights_of(50, 2) : bad);
      ADD_FAILURE() << "expected a refusal";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::invalid_argument);
      EXPECT_NE(error.text().find(part), std::string::npos) << error.text();
    }
    EXPECT_EQ(all_rows(communicator, layer), before);
  });
}

TEST(Weights, ThatDoNotFitChangeNothingOnAnyRank) {
  LayerWeights other_dtype = weights_of(1, 1), wide = weights_of(1, 1), few = weights_of(1, 2),
               twice = weights_of(1, 1);
  other_dtype.value_dtype = "float16";
  wide.embedding_size = 3;
  few.values.pop_back();
  twice.keys = {9, 9};
  twice.values = {1, 1, 1, 1};
  expect_refused(other_dtype, "dtype float32");
  expect_refused(wide, "embedding_size 3");
  expect_refused(few, "3 values");
  expect_refused(twice, "9 twice");
  expect_refused(weights_of(51, 1), "51 twice");  // rank 0 gives 51, too
}

TEST(Weights, NeedALayerThatIsBuilt) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, items());
    EXPECT_FALSE(layer.built());
    EXPECT_THROW(layer.count_params(), Error);
    EXPECT_THROW(layer.set_weights(stream, weights_of(0, 0)), Error);
    EXPECT_THROW(layer.build({}), Error);  // a scalar
    EXPECT_FALSE(layer.built());
    layer.build({std::nullopt, 3});
    layer.build({std::nullopt, 3});
    EXPECT_TRUE(layer.built());
    EXPECT_EQ(layer.count_params(), 0);
  });
}

TEST(Weights, AreBuiltByTheFirstCall) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, items());
    step(communicator, stream, tables, layer, 5);
    EXPECT_TRUE(layer.built());
    EXPECT_EQ(layer.count_params(), 2);
  });
}

TEST(Weights, OfStatusesAreNeverTrained) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = items();
    options.restrict_policy = "frequency";
    options.max_rows = 3;
    options.restrict_every = 1;
    SquashedEmbedding<Cpu> layer(tables, options);
    layer.build({4});
    layer.set_weights(stream, weights_of(1, 5));
    const WeightView values{"items", "int64", "float32", 2, 5};
    const WeightView status{"items/status", "int64", "uint32", 1, 5};
    EXPECT_EQ(layer.weights(), (std::vector<WeightView>{values, status}));
    EXPECT_EQ(layer.trainable_weights(), std::vector<WeightView>{values});
    EXPECT_EQ(layer.non_trainable_weights(), std::vector<WeightView>{status});
    // A step of key 5 leaves it and, of the others, the lowest keys; a loss of the step is gone.
    layer.add_loss(1);
    step(communicator, stream, tables, layer, 5);
    EXPECT_TRUE(layer.losses().empty());
    const Rows rows = all_rows(communicator, layer);
    EXPECT_EQ(rows.size(), 3u);
    EXPECT_EQ(rows.count(5) + rows.count(1) + rows.count(2), 3u);
  });
}

TEST(Weights, AreTrainableOrNotWithTheLayer) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, items());
    layer.build({4});
    layer.set_weights(stream, weights_of(1, 5));
    const std::vector<WeightView> expected{{"items", "int64", "float32", 2, 5}};
    EXPECT_EQ(layer.weights(), expected);
    EXPECT_EQ(layer.trainable_weights(), expected);
    EXPECT_TRUE(layer.non_trainable_weights().empty());
    layer.set_trainable(false);
    EXPECT_EQ(layer.weights(), expected);
    EXPECT_TRUE(layer.trainable_weights().empty());
    EXPECT_EQ(layer.non_trainable_weights(), expected);
  });
}

}  // namespace
}  // namespace keyshard::testing
