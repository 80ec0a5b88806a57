// Ids of every key dtype: what layers take, what they refuse, and which keys their tables hold.
#include "embedding/layers/key_dtype.hpp"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "embedding/layers/field_wise_embedding.hpp"
#include "embedding/layers/layer_config.hpp"
#include "runtime/json.hpp"
#include "tests/embedding/layers/layer_on_ranks.hpp"

namespace keyshard::testing {
namespace {

LayerOptions of_dtype(const std::string& key_dtype) {
  LayerOptions options = items();
  options.key_dtype = key_dtype;
  return options;
}

/// The keys of the rows that a step on ids [n] makes, in the order of get_weights; one rank.
template <class Ids>
std::vector<Key> keys_after_step(const LayerOptions& options, const Ids& view) {
  std::vector<Key> keys;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, options);
    const LayerOutput<Cpu> output = layer(stream, view);
    layer.backward(stream, output, std::vector<float>{1, 1}.data());
    tables.apply(stream, {});
    keys = layer.get_weights().keys;
  });
  std::sort(keys.begin(), keys.end());
  return keys;
}

TEST(KeyDtype, IdsOf32BitsHaveTheKeysOfTheSameIntegers) {
  constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min(),
                         kMost = std::numeric_limits<std::int32_t>::max();
  const std::vector<std::int32_t> ids{0, -1, 7, kLeast, kMost, 7};
  EXPECT_EQ(keys_after_step(of_dtype("int32"), typed_ids(Span<const std::int32_t>(ids), {6})),
            (std::vector<Key>{0, 7, 0x7fffffff, 0xffffffff80000000, 0xffffffffffffffff}));
  const std::vector<std::uint32_t> same(ids.begin(), ids.end());
  EXPECT_EQ(keys_after_step(of_dtype("uint32"), typed_ids(Span<const std::uint32_t>(same), {6})),
            (std::vector<Key>{0, 7, 0x7fffffff, 0x80000000, 0xffffffff}));
}

TEST(KeyDtype, StringsHaveTheKeysOfTensorFlow) {
  const std::vector<Key> ids = string_keys({"abc", "a", "abc"});
  EXPECT_EQ(keys_after_step(of_dtype("string"), string_ids(ids, {3})),
            (std::vector<Key>{2640714258260161385u, 12917804110809363939u}));
}

TEST(KeyDtype, OfASharedTableIsThatOfItsLayers) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> first(tables, of_dtype("int32"));
    LayerOptions other = of_dtype("uint32");
    other.name = "other";
    other.share = "items";
    try {
      Embedding<Cpu> sharing(tables, other);
      ADD_FAILURE() << "expected a refusal";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::invalid_argument);
      EXPECT_EQ(error.text(),
                "layer other: expected key_dtype int32 of layer items, which reads the same table "
                "items: found uint32");
    }
    other.key_dtype = "int32";  // the name is still free
    EXPECT_NO_THROW(Embedding<Cpu>(tables, other));
  });
}

TEST(KeyDtype, RaggedIdsOf32BitsAreLookedUpInEveryLayer) {
  const std::vector<std::int32_t> ids{4, 5, -6};
  const std::vector<std::int64_t> offsets{0, 2, 2, 3};
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = of_dtype("int32");
    options.padding_id = static_cast<Key>(-6);
    SquashedEmbedding<Cpu> squashed(tables, options);
    const IdsView lists = typed_ids(Span<const std::int32_t>(ids), {}, offsets);
    const LayerOutput<Cpu> pooled = squashed(stream, lists);
    EXPECT_EQ(std::vector<float>(pooled.values.data(), pooled.values.data() + 6),
              (std::vector<float>{1, 1, 0, 0, 0, 0}));  // rows of 0.5; -6 is padding
    options.name = "plain";
    Embedding<Cpu> plain(tables, options);
    EXPECT_EQ(plain(stream, lists).shape, (std::vector<std::int64_t>{3, 2}));
    const auto mask = plain.compute_mask(stream, lists);
    ASSERT_TRUE(mask.has_value());
    EXPECT_EQ(std::vector<int>(mask->data(), mask->data() + 3), (std::vector<int>{1, 1, 0}));
    const std::vector<std::int64_t> outer{0, 1, 3};
    EXPECT_EQ(squashed(stream, typed_ids(Span<const std::int32_t>(ids), {}, offsets,
                                         {Span<const std::int64_t>(outer)}))
                  .shape,
              (std::vector<std::int64_t>{2, 2}));
  });
}

struct Even {
  KEYSHARD_HD std::int64_t operator()(Key id) const { return static_cast<std::int64_t>(id % 2); }
};

TEST(KeyDtype, SlotsAreThoseOfTheKeys) {
  const std::vector<std::int32_t> ids{2, 3, 4};
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    FieldWiseEmbedding<Cpu> layer(tables, of_dtype("int32"), 2, slot_map<Cpu>("even", Even{}));
    const LayerOutput<Cpu> output = layer(stream, typed_ids(Span<const std::int32_t>(ids), {1, 3}));
    EXPECT_EQ(output.values.data()[0], 1.0f);  // two rows of 0.5
    EXPECT_EQ(output.values.data()[2], 0.5f);
  });
}

TEST(KeyDtype, IdsOfAnotherDtypeAreRefusedOnEveryRankAndNotWidened) {
  const std::vector<std::int32_t> narrow{1, 2};
  const std::vector<std::uint32_t> unsigned_narrow{1, 2};
  const std::vector<std::int64_t> wide{1, 2};
  const std::vector<Key> keys{1, 2};
  const std::vector<std::pair<std::string, IdsView>> views{
      {"int32", typed_ids(Span<const std::int32_t>(narrow), {2})},
      {"uint32", typed_ids(Span<const std::uint32_t>(unsigned_narrow), {2})},
      {"int64", typed_ids(Span<const std::int64_t>(wide), {2})},
      {"uint64", {keys, {2}, {}}},
      {"string", string_ids(keys, {2})}};
  for (const std::string& dtype : key_dtype_names()) {
    on_ranks(
        [&](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>&, Stream<Cpu>& stream) {
          for (const auto& [found, view] : views) {
            const bool keys_fit = found == "uint64" && (dtype == "int64" || dtype == "uint64");
            if (found == dtype || keys_fit) {
              EXPECT_EQ(layer(stream, view).shape, (std::vector<std::int64_t>{2}));
              continue;
            }
            const std::string shown = found == "uint64" ? "int64" : found;
            EXPECT_EQ(message_of([&] { layer(stream, view); }),
                      "Input 0 of layer items is incompatible with the layer: expected dtype=" +
                          dtype + ", found dtype=" + shown + ". Full shape received: [2]");
          }
        },
        of_dtype(dtype));
  }
}

TEST(KeyDtype, WeightsAndThePaddingIdHaveIt) {
  LayerOptions options = of_dtype("int32");
  options.padding_id = Key{1} << 31;
  EXPECT_EQ(message_of([&] { check(options); }),
            "layer items: expected a padding_id of key_dtype int32: found 2147483648");
  options.padding_id = static_cast<Key>(-1);
  check(options);
  on_ranks(
      [](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>&, Stream<Cpu>& stream) {
        layer.build({3});
        EXPECT_EQ(layer.weights().front().key_dtype, "int32");
        EXPECT_EQ(message_of([&] {
                    layer.set_weights(stream, {"float32", 2, {Key{1} << 40}, {1, 2}});
                  }),
                  "rank 0: layer items: expected keys of key_dtype int32: found 1099511627776");
        EXPECT_EQ(layer.get_weights().keys.size(), 0u);
      },
      of_dtype("int32"));
}

TEST(KeyDtype, IsInTheConfig) {
  for (const std::string& dtype : key_dtype_names()) {
    const SettingValue config = parse_json(json_text(layer_config(of_dtype(dtype))), "config");
    EXPECT_EQ(layer_options(config).key_dtype, dtype);
  }
}

}  // namespace
}  // namespace keyshard::testing
