// Ids that a mask or the padding id takes out of their bags.
#include <map>

#include <gtest/gtest.h>

#include "embedding/layers/field_wise_embedding.hpp"
#include "embedding/layers/squashed_embedding.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

constexpr Key kPadding = 99;

LayerOptions items(const std::string& combiner = "sum") {
  LayerOptions options;
  options.name = "items";
  options.embedding_size = 1;
  options.combiner = combiner;
  options.optimizer = Sgd{1};
  options.padding_id = kPadding;
  return options;
}

/// Sets the row of each key 1 .. 9 to the key; every rank gives its own.
template <class Layer>
void fill(Stream<Cpu>& stream, Layer& layer) {
  for (Key key = 1; key < 10; ++key) {
    if (layer.table().shards().contains(shard_of(layer.table().partitioner(), key))) {
      const auto value = static_cast<float>(key);
      layer.table().assign(stream, Span<const Key>(&key, 1), &value);
    }
  }
}

std::vector<float> values_of(const LayerOutput<Cpu>& output) {
  return {output.values.data(), output.values.data() + output.values.size()};
}

/// The output of every rank for the same ids, and the rows after a step with gradients of 1.
template <class Layer>
std::map<Key, float> expect_output(const LayerOptions& options, const IdsView& ids,
                                   const std::vector<std::uint8_t>& mask,
                                   const std::vector<float>& expected, int ranks) {
  std::map<Key, float> rows;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Layer layer(tables, options);
    fill(stream, layer);
    const LayerOutput<Cpu> output = layer(stream, ids, {.mask = mask});
    EXPECT_EQ(values_of(output), expected);
    layer.backward(stream, output, std::vector<float>(expected.size(), 1).data());
    tables.apply(stream, {});
    const LayerWeights mine = layer.get_weights();
    const std::vector<Key> keys = communicator.gather_joined(Span<const Key>(mine.keys));
    const std::vector<float> values = communicator.gather_joined(Span<const float>(mine.values));
    if (communicator.rank() == 0) {
      for (std::size_t i = 0; i < keys.size(); ++i) {
        rows[keys[i]] = values[i];
      }
    }
  });
  return rows;
}

TEST(Mask, TakesIdsOutOfTheirBags) {
  const std::vector<Key> ids{1, 2, 50, kPadding, 3, 4};
  const std::vector<std::uint8_t> mask{1, 1, 0, 1, 1, 0};
  for (const int ranks : {1, 2, 3}) {
    const auto n = static_cast<float>(ranks);
    const std::map<Key, float> rows = expect_output<SquashedEmbedding<Cpu>>(
        items("mean"), {ids, {2, 3}, {}}, mask, {1.5f, 3}, ranks);
    EXPECT_EQ(rows.size(), 9u);  // neither 50 nor the padding id has become a row
    EXPECT_EQ(rows.at(1), 1 - n * 0.5f);
    EXPECT_EQ(rows.at(3), 3 - n);
    EXPECT_EQ(rows.at(4), 4);
  }
}

TEST(Mask, TakesIdsOutOfRaggedLists) {
  const std::vector<Key> ids{1, 2, 50, kPadding, 3, 4};
  const std::vector<std::int64_t> offsets{0, 3, 4, 6};
  const std::vector<std::uint8_t> mask{0, 1, 0, 1, 1, 1};
  for (const int ranks : {1, 2}) {
    expect_output<SquashedEmbedding<Cpu>>(items("max"), {ids, {}, offsets}, mask, {2, 0, 4}, ranks);
  }
}

TEST(Mask, GivesZeroRowsInEmbedding) {
  const std::vector<Key> ids{1, 2, kPadding, 50};
  const std::vector<std::uint8_t> mask{1, 0, 1, 0};
  for (const int ranks : {1, 2}) {
    const std::map<Key, float> rows =
        expect_output<Embedding<Cpu>>(items(), {ids, {2, 2}, {}}, mask, {1, 0, 0, 0}, ranks);
    EXPECT_EQ(rows.size(), 9u);
    EXPECT_EQ(rows.at(1), 1 - static_cast<float>(ranks));
    EXPECT_EQ(rows.at(2), 2);
  }
}

TEST(Mask, WhatBecomesEmptyIsAbsentFromTheNextReduction) {
  // Ids [1, 2, 3]: columns (2, 5), (3, x), (x, x) with masked x: means 3.5, 3, absent.
  const std::vector<Key> ids{2, 3, 4, 5, kPadding, 6};
  const std::vector<std::uint8_t> mask{1, 1, 0, 1, 1, 0};
  for (const int ranks : {1, 2}) {
    const auto n = static_cast<float>(ranks);
    const std::map<Key, float> rows = expect_output<SquashedEmbedding<Cpu>>(
        items("mean"), {ids, {1, 2, 3}, {}}, mask, {3.25f}, ranks);
    EXPECT_EQ(rows.at(2), 2 - n * 0.25f);
    EXPECT_EQ(rows.at(5), 5 - n * 0.25f);
    EXPECT_EQ(rows.at(3), 3 - n * 0.5f);
    EXPECT_EQ(rows.at(4), 4);
    expect_output<SquashedEmbedding<Cpu>>(items("min"), {ids, {1, 2, 3}, {}}, mask, {2}, ranks);
  }
}

TEST(Mask, ThatTakesOutAllGivesZeros) {
  const std::vector<Key> ids(8, kPadding);
  expect_output<SquashedEmbedding<Cpu>>(items("max"), {ids, {2, 2, 2}, {}}, {}, {0, 0}, 2);
  expect_output<SquashedEmbedding<Cpu>>(items("max"), {{}, {1, 3, 0, 4}, {}}, {}, {0}, 2);
}

TEST(Mask, OfAnotherSizeIsRefused) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, items());
    const std::vector<Key> ids{1, 2};
    const std::vector<std::uint8_t> mask{1};
    EXPECT_THROW(layer(stream, {ids, {1, 2}, {}}, {.mask = mask}), Error);
  });
}

struct FirstSlot {
  KEYSHARD_HD std::int64_t operator()(Key) const { return 0; }
};

TEST(ComputeMask, IsCombinedInEmbeddingAndConsumedByTheOthers) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    const std::vector<Key> ids{1, kPadding, 3};
    const std::vector<std::uint8_t> mask{1, 1, 0};
    const IdsView view{ids, {3}, {}};
    LayerOptions options = items();
    Embedding<Cpu> layer(tables, options);
    const auto combined = layer.compute_mask(stream, view, mask);
    ASSERT_TRUE(combined.has_value());
    const Span<const std::uint8_t> bytes = combined->span();
    EXPECT_EQ(std::vector<std::uint8_t>(bytes.begin(), bytes.end()),
              (std::vector<std::uint8_t>{1, 0, 0}));
    EXPECT_TRUE(layer.compute_mask(stream, view).has_value());  // the padding id alone
    options.name = "no padding";
    options.padding_id = std::nullopt;
    EXPECT_FALSE(Embedding<Cpu>(tables, options).compute_mask(stream, view).has_value());
    options.name = "squashed";
    EXPECT_FALSE(
        SquashedEmbedding<Cpu>(tables, options).compute_mask(stream, view, mask).has_value());
    options.name = "slots";
    EXPECT_FALSE(FieldWiseEmbedding<Cpu>(tables, options, 1, slot_map<Cpu>("", FirstSlot{}))
                     .compute_mask(stream, view, mask)
                     .has_value());
  });
}

}  // namespace
}  // namespace keyshard::testing
