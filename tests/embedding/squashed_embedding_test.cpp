// The layers as a caller uses them, on one small batch worked by hand: outputs, the steps of rows
// with what shrinks them, sharing, and options that are refused.
#include "embedding/squashed_embedding.hpp"

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

TEST(LayerOptions, ThatAreNotBuiltAreRefusedByName) {
  const std::map<std::string, std::function<void(LayerOptions&)>> changes{
      {"key_dtype", [](LayerOptions& o) { o.key_dtype = "int32"; }},
      {"value_dtype", [](LayerOptions& o) { o.value_dtype = "float16"; }},
      {"dtype_policy", [](LayerOptions& o) { o.dtype_policy = "mixed_float16"; }},
      {"empty_bag", [](LayerOptions& o) { o.empty_bag = "nan"; }},
      {"restrict_policy", [](LayerOptions& o) { o.restrict_policy = "timestamp"; }},
      {"kv_creator", [](LayerOptions& o) { o.kv_creator = "redis"; }},
      {"devices", [](LayerOptions& o) { o.devices = {"cuda:0"}; }},
      {"max_norm", [](LayerOptions& o) { o.max_norm = 1.0; }},
      {"bp_v2", [](LayerOptions& o) { o.bp_v2 = true; }},
      {"combiner \"prod\"", [](LayerOptions& o) { o.combiner = "prod"; }}};
  for (const auto& [name, change] : changes) {
    LayerOptions options = layer_options(2);
    change(options);
    try {
      check(options);
      ADD_FAILURE() << "expected a refusal of " << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::not_built) << name;
      EXPECT_NE(error.text().find(name), std::string::npos) << error.text();
      EXPECT_NE(error.text().find("not built in this version"), std::string::npos) << error.text();
    }
  }
}

}  // namespace
}  // namespace keyshard::testing
