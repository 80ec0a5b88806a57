// Layers with rows of integers, which are only looked up: every bit of them, on any number of
// ranks, and what is refused.
#include <limits>

#include <gtest/gtest.h>

#include "embedding/layers/field_wise_embedding.hpp"
#include "tests/embedding/layers/layer_on_ranks.hpp"

namespace keyshard::testing {
namespace {

using Integers = std::vector<std::int64_t>;

LayerOptions integers(const std::string& dtype, std::int64_t dim) {
  LayerOptions options = items();
  options.embedding_size = dim;
  options.value_dtype = dtype;
  options.trainable = false;
  options.initializer = Constant{-7.9};
  return options;
}

/// Key k has the value first + k * step in column 0, and the extremes of the type beside it.
template <class T>
LayerWeights rows_of(const std::string& dtype, std::int64_t dim, std::int64_t keys) {
  LayerWeights weights{dtype, dim};
  for (std::int64_t k = 0; k < keys; ++k) {
    weights.keys.push_back(static_cast<Key>(k));
    for (std::int64_t d = 0; d < dim; ++d) {
      const std::int64_t least = std::numeric_limits<T>::min(),
                         most = std::numeric_limits<T>::max();
      weights.integers.push_back(d == 0 ? least + k : d == 1 ? most - k : k - d);
    }
  }
  return weights;
}

template <class T>
void expect_every_bit(const std::string& dtype, std::int64_t dim, int ranks) {
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Embedding<Cpu> layer(tables, integers(dtype, dim));
    layer.build({1});
    constexpr std::int64_t kKeys = 100;
    const LayerWeights given = rows_of<T>(dtype, dim, kKeys);
    layer.set_weights(stream, communicator.rank() == 0 ? given : LayerWeights{dtype, dim});
    const std::vector<Key> ids{99, 3, 12345, 0, 3, 57};
    const std::vector<std::uint8_t> mask{1, 1, 1, 1, 0, 1};
    const LayerOutput<Cpu> output = layer(stream, {ids, {2, 3}, {}}, {.mask = mask});
    const Span<const T> found = output.template numbers<T>();
    ASSERT_EQ(found.size(), 6 * dim);
    for (std::int64_t i = 0; i < 6; ++i) {
      const auto at = static_cast<std::size_t>(i);
      for (std::int64_t d = 0; d < dim; ++d) {
        const auto place = static_cast<std::size_t>(static_cast<std::int64_t>(ids[at]) * dim + d);
        const std::int64_t expected = mask[at] == 0      ? 0
                                      : ids[at] == 12345 ? -7
                                                         : given.integers[place];
        EXPECT_EQ(std::int64_t{found[i * dim + d]}, expected) << dtype << " " << i << " " << d;
      }
    }
    const LayerWeights mine = layer.get_weights();
    EXPECT_TRUE(mine.values.empty() && mine.doubles.empty());
    for (std::size_t i = 0; i < mine.integers.size(); ++i) {
      const auto width = static_cast<std::size_t>(dim);
      EXPECT_EQ(mine.integers[i], given.integers[mine.keys[i / width] * width + i % width]);
    }
    EXPECT_EQ(layer.count_params(), kKeys * dim);
    tables.apply(stream, {});  // steps of other layers leave them
    EXPECT_EQ(layer.get_weights(), mine);
  });
}

TEST(Integers, AreLookedUpWithEveryBitOnAnyRanks) {
  for (const int ranks : {1, 2, 3, 4, 8}) {
    for (const std::int64_t dim : {1, 2, 3, 5, 8}) {
      expect_every_bit<std::int8_t>("int8", dim, ranks);
      expect_every_bit<std::int32_t>("int32", dim, ranks);
      expect_every_bit<std::int64_t>("int64", dim, ranks);
    }
  }
}

TEST(Integers, BeginWithTheNearestIntegersOfTheirTypeTowardsZero) {
  for (const auto& [value, expected] : std::vector<std::pair<double, std::int64_t>>{
           {0.9, 0}, {-0.9, 0}, {126.5, 126}, {1000, 127}, {-1000, -128}}) {
    run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      LayerOptions options = integers("int8", 2);
      options.initializer = Constant{value};
      Embedding<Cpu> layer(tables, options);
      const std::vector<Key> ids{1};
      EXPECT_EQ(std::int64_t{layer(stream, {ids, {1}, {}}).numbers<std::int8_t>()[0]}, expected);
    });
  }
}

TEST(Integers, OfProgramsAreWrittenBackByValueAndByIncrement) {
  for (const bool by_increment : {false, true}) {
    run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      LayerOptions options = integers("int64", 1);
      options.bp_v2 = by_increment;
      Embedding<Cpu> layer(tables, options);
      layer.build({1});
      const std::int64_t large = std::int64_t{1} << 62;
      layer.set_weights(stream, {"int64", 1, {5}, {}, {}, {large + 1}});
      const std::vector<Key> keys{5};
      std::vector<RowId> rows(1);
      layer.table().find(stream, keys, rows.data());
      const std::int64_t old = large, updated = large + 40;
      layer.table().write_back(stream, {keys, rows.data(), reinterpret_cast<const float*>(&old),
                                        reinterpret_cast<const float*>(&updated)});
      EXPECT_EQ(layer.get_weights().integers, Integers{large + (by_increment ? 41 : 40)});
    });
  }
}

TEST(Integers, AreRefusedWhereTheyWouldBePooledTrainedOrRounded) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    EXPECT_NE(message_of([&] {
                SquashedEmbedding<Cpu> layer(tables, integers("int8", 2));
              }).find("looked up one by one: expected an Embedding"),
              std::string::npos);
    LayerOptions trained = integers("int32", 2);
    trained.trainable = true;
    EXPECT_NE(message_of([&] { Embedding<Cpu> layer(tables, trained); }).find("trainable = false"),
              std::string::npos);
    LayerOptions limited = integers("int32", 2);
    limited.max_norm = 1;
    EXPECT_NE(message_of([&] { Embedding<Cpu> layer(tables, limited); }).find("no max_norm"),
              std::string::npos);
    Embedding<Cpu> layer(tables, integers("int8", 2));
    layer.build({1});
    EXPECT_NE(message_of([&] { layer.set_trainable(true); }).find("trainable = false"),
              std::string::npos);
    EXPECT_NE(message_of([&] {
                layer.set_weights(stream, {"int8", 2, {1, 2}, {}, {}, {1, 2, 3, 128}});
              }).find("from -128 to 127: found 128 for key 2"),
              std::string::npos);
    EXPECT_EQ(layer.table().size(), 0);
    EXPECT_NE(message_of([&] { layer.table().add({}); }).find("only looked up"), std::string::npos);
  });
}

TEST(Integers, OfABagWithSeveralIdsAreRefusedByALookup) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Embedding<Cpu> layer(tables, integers("int32", 1));
    Lookup<Cpu> lookup(communicator, {&layer.table()}, {{"bags", 0, {Sum{}}}});
    const std::vector<Key> ids{1, 2};
    const std::vector<std::int64_t> offsets{0, 2}, slices{0, 1};
    float out = 0;
    const MatrixView<float> pooled{&out, 1, 1, 1};
    EXPECT_NE(message_of([&] {
                lookup.forward(stream,
                               {.bags = {ids, offsets},
                                .samples = 1,
                                .slices = 1,
                                .run = {0, 1},
                                .slice_offsets = slices},
                               false, {}, Span<const MatrixView<float>>(&pooled, 1));
              }).find("found 1 bags with several"),
              std::string::npos);
    EXPECT_NE(message_of([&] {
                Lookup<Cpu> mean(communicator, {&layer.table()}, {{"mean", 0, {Mean{}}}});
              }).find("has combiner sum"),
              std::string::npos);
  });
}

}  // namespace
}  // namespace keyshard::testing
