// The layers as a caller uses them, on one small batch worked by hand: outputs, steps of rows with
// regularization, and shared tables.
#include "embedding/layers/squashed_embedding.hpp"

#include <functional>
#include <map>
#include <mutex>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

/// Four samples, each a slice of its own; the last one has no ids.
const std::vector<std::vector<Key>> kBags{{5, 6, 5}, {5}, {6}, {}};

LayerOptions layer_options(std::int64_t dim, ExchangeMode exchange = ExchangeMode::rows) {
  LayerOptions options;
  options.name = "items";
  options.embedding_size = dim;
  options.initializer = Constant{2.0f};
  options.optimizer = Sgd{0.5f};
  options.exchange = exchange;
  options.pool_order = exchange == ExchangeMode::rows ? PoolOrder::bag : PoolOrder::shard;
  return options;
}

/// The samples of one rank.
struct RankBags {
  std::vector<Key> ids;
  std::vector<std::int64_t> offsets{0};
  SliceLayout layout{4, {}, {0}};

  explicit RankBags(const Communicator<Cpu>& communicator) {
    layout.run = run_of(communicator.rank(), communicator.size(), layout.slices);
    for (std::int64_t s = layout.run.begin; s < layout.run.end; ++s) {
      const std::vector<Key>& bag = kBags[static_cast<std::size_t>(s)];
      ids.insert(ids.end(), bag.begin(), bag.end());
      offsets.push_back(static_cast<std::int64_t>(ids.size()));
      layout.offsets.push_back(layout.offsets.back() + 1);
    }
  }
};

/// Sets the rows of 5 and 6 to (5, -5) and (6, -6).
void assign_rows(Stream<Cpu>& stream, Table<Cpu>& table) {
  for (const Key key : {Key{5}, Key{6}}) {
    if (table.shards().contains(shard_of(table.partitioner(), key))) {
      const float row[] = {static_cast<float>(key), -static_cast<float>(key)};
      table.assign(stream, Span<const Key>(&key, 1), row);
    }
  }
}

/// The output of the layer for all samples, one after another.
std::vector<float> pooled(const std::string& combiner, int ranks, ExchangeMode exchange) {
  std::map<std::int64_t, std::vector<float>> parts;
  std::mutex mutex;
  run_ranks(ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = layer_options(2, exchange);
    options.combiner = combiner;
    SquashedEmbedding<Cpu> layer(tables, options);
    assign_rows(stream, layer.table());
    const RankBags bags(communicator);
    const LayerOutput<Cpu> output =
        layer.forward(stream, {bags.ids, {}, bags.offsets}, true, &bags.layout);
    EXPECT_EQ(output.shape, (std::vector<std::int64_t>{bags.layout.run.size(), 2}));
    const std::lock_guard lock(mutex);
    parts[communicator.rank()].assign(output.values.data(),
                                      output.values.data() + output.values.size());
  });
  std::vector<float> all;
  for (const auto& [rank, part] : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

/// The row of a key after one step with a gradient of 1 for every sample, of 4 valid ones.
float stepped(Key key, int ranks, const Regularization& regularization) {
  float result = -1;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = layer_options(1);
    options.regularization = regularization;
    SquashedEmbedding<Cpu> layer(tables, options);
    const RankBags bags(communicator);
    const LayerOutput<Cpu> output =
        layer.forward(stream, {bags.ids, {}, bags.offsets}, true, &bags.layout);
    layer.backward(stream, output, std::vector<float>(4, 1.0f).data());
    tables.apply(stream, {1.0f, 4});
    RowId row = kNoRow;
    if (layer.table().shards().contains(shard_of(layer.table().partitioner(), key))) {
      layer.table().find(stream, Span<const Key>(&key, 1), &row);
      layer.table().read(stream, Span<const Key>(&key, 1), &row, false, &result);
    }
  });
  return result;
}

TEST(SquashedEmbedding, PoolsTheBagsOfAllRanks) {
  for (const ExchangeMode exchange : {ExchangeMode::rows, ExchangeMode::reduced}) {
    for (const int ranks : {1, 2, 3}) {
      EXPECT_EQ(pooled("sum", ranks, exchange), (std::vector<float>{16, -16, 5, -5, 6, -6, 0, 0}));
      EXPECT_EQ(pooled("mean", ranks, exchange),
                (std::vector<float>{16.0f / 3, -16.0f / 3, 5, -5, 6, -6, 0, 0}));
      EXPECT_EQ(pooled("max", ranks, exchange), (std::vector<float>{6, -5, 5, -5, 6, -6, 0, 0}));
      EXPECT_EQ(pooled("min", ranks, exchange), (std::vector<float>{5, -6, 5, -5, 6, -6, 0, 0}));
    }
  }
}

TEST(SquashedEmbedding, StepsAndShrinksRowsByTheFormula) {
  // Key 5 stands three times in the batch and key 6 twice; rate 0.5, rows begin at 2.
  for (const int ranks : {1, 2, 3}) {
    EXPECT_EQ(stepped(5, ranks, {}), 2 - 0.5f * 3);
    EXPECT_EQ(stepped(6, ranks, {}), 2 - 0.5f * 2);
    EXPECT_EQ(stepped(5, ranks, {0.5f, false, 0}), 2 - 0.5f * (3 + 0.5f * 2));
    EXPECT_EQ(stepped(6, ranks, {0.5f, false, 0}), 2 - 0.5f * (2 + 0.5f * 2));
    EXPECT_EQ(stepped(5, ranks, {0.5f, true, 0}), 2 - 0.5f * (3 + 0.5f * 3 / 4 * 2));
    EXPECT_EQ(stepped(6, ranks, {0.5f, true, 0}), 2 - 0.5f * (2 + 0.5f * 2 / 4 * 2));
    EXPECT_EQ(stepped(5, ranks, {0, false, 0.25f}), 2 - 0.5f * 0.25f * 2 - 0.5f * 3);
    // Of the sum over all occurrences, on whatever ranks they are; L2 comes after it.
    EXPECT_EQ(stepped(5, ranks, {.clip_value = 2.5f}), 2 - 0.5f * 2.5f);
    EXPECT_EQ(stepped(6, ranks, {.clip_value = 2.5f}), 2 - 0.5f * 2);
    EXPECT_EQ(stepped(5, ranks, {.l2 = 0.5f, .clip_norm = 1.5f}), 2 - 0.5f * (1.5f + 0.5f * 2));
  }
}

/// The row of key 5, from 0, after one step of two layers that share a table: each layer is called
/// once on the bag {5}, then the first layer again, with these gradients in the order of the calls.
float stepped_by_calls(int ranks, const Optimizer& optimizer, const std::vector<float>& gradients) {
  float result = -1;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = layer_options(1);
    options.initializer = Constant{0};
    options.optimizer = optimizer;
    SquashedEmbedding<Cpu> first(tables, options);
    options.name = "other";
    options.share = "items";
    SquashedEmbedding<Cpu> second(tables, options);
    const bool asks = communicator.rank() == communicator.size() - 1;
    const Key key = 5;
    const std::vector<std::int64_t> offsets{0, asks ? 1 : 0};
    for (std::size_t call = 0; call < gradients.size(); ++call) {
      SquashedEmbedding<Cpu>& layer = call == 1 ? second : first;
      const LayerOutput<Cpu> output =
          layer.forward(stream, {Span<const Key>(&key, asks ? 1 : 0), {}, offsets});
      layer.backward(stream, output, &gradients[call]);
    }
    tables.apply(stream, {1.0f, 1});
    Table<Cpu>& table = first.table();
    if (table.shards().contains(shard_of(table.partitioner(), key))) {
      RowId row = kNoRow;
      table.find(stream, Span<const Key>(&key, 1), &row);
      table.read(stream, Span<const Key>(&key, 1), &row, false, &result);
    }
  });
  return result;
}

TEST(SquashedEmbedding, CallsBeforeAStepAreSummedInTheirOrderAndStepOnce) {
  for (const int ranks : {1, 2, 3}) {
    EXPECT_EQ(stepped_by_calls(ranks, Sgd{1}, {1, 2, 4}), -7);
    EXPECT_EQ(stepped_by_calls(ranks, Sgd{1}, {1, 0x1p-24f, 0x1p-24f}), -1);
    EXPECT_EQ(stepped_by_calls(ranks, Sgd{1}, {0x1p-24f, 0x1p-24f, 1}), -(1 + 0x1p-23f));
    // One step with the gradient 7, not three steps: 7 / sqrt(49).
    EXPECT_EQ(stepped_by_calls(ranks, Adagrad{1, 0, 0, false}, {1, 2, 4}), -1);
  }
}

TEST(SquashedEmbedding, OccurrencesOfAllCallsCountForL2) {
  for (const int ranks : {1, 2, 3}) {
    run_ranks(ranks, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      LayerOptions options = layer_options(1);
      options.regularization = {0.5f, true, 0};
      SquashedEmbedding<Cpu> layer(tables, options);
      const RankBags bags(communicator);
      for (int call = 0; call < 2; ++call) {
        const LayerOutput<Cpu> output =
            layer.forward(stream, {bags.ids, {}, bags.offsets}, true, &bags.layout);
        layer.backward(stream, output, std::vector<float>(4, 1.0f).data());
      }
      tables.apply(stream, {1.0f, 4});
      const Key key = 5;  // three times in each call
      if (layer.table().shards().contains(shard_of(layer.table().partitioner(), key))) {
        RowId row = kNoRow;
        float found = 0;
        layer.table().find(stream, Span<const Key>(&key, 1), &row);
        layer.table().read(stream, Span<const Key>(&key, 1), &row, false, &found);
        EXPECT_EQ(found, 2 - 0.5f * (6 + 0.5f * 6 / 4 * 2));
      }
    });
  }
}

/// What a layer gives for absent key 9, and the rows that it has made.
std::pair<float, std::int64_t> looked_up(const LayerOptions& options, bool training, int ranks) {
  std::pair<float, std::int64_t> result;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, options);
    const Key key = 9;
    const std::vector<std::int64_t> offsets{0, 1};
    const LayerOutput<Cpu> output =
        layer.forward(stream, {Span<const Key>(&key, 1), {}, offsets}, training);
    const float upstream = 1;
    if (!options.trainable) {
      layer.backward(stream, output, &upstream);
      tables.apply(stream, {1.0f, 1});
    }
    std::int64_t rows = layer.table().size();
    communicator.all_reduce(Span<std::int64_t>(&rows, 1), Reduction::sum);
    if (communicator.rank() == 0) {
      result = {output.values[0], rows};
    }
  });
  return result;
}

TEST(SquashedEmbedding, AbsentKeysReadAsTheOptionsSayAndALookupMakesNoRow) {
  using Found = std::pair<float, std::int64_t>;
  for (const int ranks : {1, 2}) {
    LayerOptions options = layer_options(1);
    EXPECT_EQ(looked_up(options, true, ranks), Found(2, 0));
    EXPECT_EQ(looked_up(options, false, ranks), Found(2, 0));
    options.missing = Missing::zeros;
    EXPECT_EQ(looked_up(options, true, ranks), Found(2, 0));
    EXPECT_EQ(looked_up(options, false, ranks), Found(0, 0));
    options.trainable = false;
    EXPECT_EQ(looked_up(options, true, ranks), Found(2, 0));
  }
}

/// One rank of three calls the layer with `bad` ids, the others with good ones: all fail, and those
/// that did nothing wrong say which rank did.
template <class Layer>
void expect_refused_by_all(const IdsView& bad, const SliceLayout* slices = nullptr,
                           const std::string& start = "layer items: expected ") {
  std::vector<std::string> errors(3);
  run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Layer layer(tables, layer_options(2));
    const std::vector<Key> ids{5, 6};
    const std::vector<std::int64_t> offsets{0, 1, 2};
    const IdsView good{ids, {}, offsets};
    try {
      const bool refuses = communicator.rank() == 1;
      layer.forward(stream, refuses ? bad : good, true, refuses ? slices : nullptr);
    } catch (const Error& error) {
      errors[static_cast<std::size_t>(communicator.rank())] = error.text();
    }
    EXPECT_NO_THROW(layer.forward(stream, good));  // the next call is as good as any
  });
  EXPECT_EQ(errors[0], "expected a batch from every rank: rank 1 refused its own: " + errors[1]);
  EXPECT_EQ(errors[2], errors[0]);
  EXPECT_EQ(errors[1].find(start), 0u) << errors[1];
}

TEST(Layers, RefuseBadIdsOfOneRankOnAll) {
  const std::vector<Key> ids{5, 6};
  const std::vector<std::int64_t> far{0, 3}, falling{0, 2, 1, 2};
  expect_refused_by_all<SquashedEmbedding<Cpu>>({ids, {3}, {}});
  expect_refused_by_all<SquashedEmbedding<Cpu>>({ids, {}, far});
  expect_refused_by_all<SquashedEmbedding<Cpu>>({ids, {}, falling});
  expect_refused_by_all<SquashedEmbedding<Cpu>>(
      {Span<const Key>(ids).first(1), {}, {}}, nullptr,
      "Input 0 of layer items is incompatible with the layer: expected min_ndim=1, found ndim=0.");
  expect_refused_by_all<Embedding<Cpu>>({ids, {2, 2}, {}});
  expect_refused_by_all<Embedding<Cpu>>({ids, {}, far});
  const std::vector<std::int64_t> lists{0, 1, 2};
  for (const std::vector<std::int64_t>& offsets :
       {std::vector<std::int64_t>{}, {0, 3}, {0, 1 << 20, 2}, {0, -1, 2}}) {
    const auto n = static_cast<std::int64_t>(offsets.size());
    const SliceLayout slices{4, {0, n - 1}, offsets};
    expect_refused_by_all<SquashedEmbedding<Cpu>>({ids, {}, lists}, &slices);
    expect_refused_by_all<Embedding<Cpu>>({ids, {}, lists}, &slices);
  }
}

TEST(SquashedEmbedding, SharesATableByItsName) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> first(tables, layer_options(2));
    LayerOptions options = layer_options(2);
    EXPECT_THROW(SquashedEmbedding<Cpu>(tables, options), Error);  // the name is taken
    options.name = "other";
    options.share = "items";
    EXPECT_EQ(&SquashedEmbedding<Cpu>(tables, options).table(), &first.table());
    options.embedding_size = 3;
    EXPECT_THROW(SquashedEmbedding<Cpu>(tables, options), Error);
  });
}

TEST(Embedding, GivesARowPerIdInAnyShape) {
  for (const int ranks : {1, 2}) {
    run_ranks(ranks, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      Embedding<Cpu> layer(tables, layer_options(2));
      assign_rows(stream, layer.table());
      const std::vector<Key> ids{6, 5, 5, 9};
      const LayerOutput<Cpu> output = layer.forward(stream, {ids, {2, 2}, {}});
      EXPECT_EQ(output.shape, (std::vector<std::int64_t>{2, 2, 2}));
      const std::vector<float> values(output.values.data(),
                                      output.values.data() + output.values.size());
      EXPECT_EQ(values, (std::vector<float>{6, -6, 5, -5, 5, -5, 2, 2}));  // 9 has no row
    });
  }
}

TEST(Embedding, GivesARowPerIdOfRaggedLists) {
  for (const int ranks : {1, 2, 3}) {
    run_ranks(ranks, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      Embedding<Cpu> layer(tables, layer_options(2));
      assign_rows(stream, layer.table());
      const RankBags bags(communicator);
      const LayerOutput<Cpu> output =
          layer.forward(stream, {bags.ids, {}, bags.offsets}, true, &bags.layout);
      const auto n = static_cast<std::int64_t>(bags.ids.size());
      EXPECT_EQ(output.shape, (std::vector<std::int64_t>{n, 2}));
      std::vector<float> upstream;
      for (std::size_t i = 0; i < bags.ids.size(); ++i) {
        const float x = static_cast<float>(bags.ids[i]);
        EXPECT_EQ(output.values[static_cast<std::int64_t>(2 * i)], x);
        EXPECT_EQ(output.values[static_cast<std::int64_t>(2 * i + 1)], -x);
        upstream.insert(upstream.end(), {1, 2});
      }
      layer.backward(stream, output, upstream.data());
      tables.apply(stream, {1.0f, 4});
      const Key key = 5;  // three times in all
      if (layer.table().shards().contains(shard_of(layer.table().partitioner(), key))) {
        RowId row = kNoRow;
        std::vector<float> found(2);
        layer.table().find(stream, Span<const Key>(&key, 1), &row);
        layer.table().read(stream, Span<const Key>(&key, 1), &row, false, found.data());
        EXPECT_EQ(found, (std::vector<float>{5 - 0.5f * 3, -5 - 0.5f * 6}));
      }
    });
  }
}

}  // namespace
}  // namespace keyshard::testing
