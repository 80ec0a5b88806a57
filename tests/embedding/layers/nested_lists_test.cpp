// Lists of lists as ids, by hand. random_programs_test has them beside everything else.
#include "embedding/layers/nested_lists.hpp"

#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

/// [[[1, 2], [4]], [[]], [], [[8], [16, 32, 64]]]: four samples.
struct Lists {
  std::vector<Key> ids{1, 2, 4, 8, 16, 32, 64};
  std::vector<std::int64_t> inner{0, 2, 3, 3, 4, 7}, outer{0, 2, 3, 3, 5};

  IdsView view() const { return {ids, {}, inner, {outer}}; }
};

/// One column, and the row of key k is k.
template <class Layer>
std::vector<float> output_of(const std::string& combiner, const std::string& empty_bag,
                             const IdsView& ids, const CallOptions& call = {}) {
  std::vector<float> out;
  testing::run_ranks(1, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options;
    options.name = "items";
    options.embedding_size = 1;
    options.combiner = combiner;
    options.empty_bag = empty_bag;
    Layer layer(tables, options);
    for (const Key key : {1, 2, 4, 8, 16, 32, 64}) {
      const auto value = static_cast<float>(key);
      layer.table().assign(stream, Span<const Key>(&key, 1), &value);
    }
    const LayerOutput<Cpu> output = layer(stream, ids, call);
    out.assign(output.values.data(), output.values.data() + output.values.size());
  });
  return out;
}

std::vector<float> pooled(const std::string& combiner, const CallOptions& call = {}) {
  return output_of<SquashedEmbedding<Cpu>>(combiner, "zeros", Lists().view(), call);
}

TEST(NestedLists, AreReducedPositionByPosition) {
  EXPECT_EQ(pooled("sum"), (std::vector<float>{7, 0, 0, 120}));
  // Positions of the first sample: mean of 1 and 4, and 2 alone; of the last: 12, 32 and 64.
  EXPECT_EQ(pooled("mean"), (std::vector<float>{2.25f, 0, 0, 36}));
  EXPECT_EQ(pooled("max"), (std::vector<float>{4, 0, 0, 64}));
}

TEST(NestedLists, MaskedIdsHaveNoPosition) {
  const std::vector<std::uint8_t> mask{0, 1, 1, 1, 1, 1, 0};
  EXPECT_EQ(pooled("mean", {.mask = mask}), (std::vector<float>{3, 0, 0, 22}));
}

TEST(NestedLists, WithoutIdsGiveWhatTheOptionSays) {
  const std::vector<float> found = output_of<SquashedEmbedding<Cpu>>("prod", "tf", Lists().view());
  EXPECT_EQ(found, (std::vector<float>{8, 1, 1, 8.0f * 16 * 32 * 64}));
  const std::vector<std::int64_t> none{0, 0, 0}, two{0, 1, 2};
  EXPECT_EQ(output_of<SquashedEmbedding<Cpu>>("sum", "zeros", {{}, {}, none, {two}}),
            (std::vector<float>{0, 0}));
}

TEST(NestedLists, OfAnEmbeddingGiveARowForEachId) {
  const SliceLayout slices{2, {0, 2}, {0, 1, 4}};
  EXPECT_EQ(output_of<Embedding<Cpu>>("sum", "zeros", Lists().view(), {.slices = &slices}),
            (std::vector<float>{1, 2, 4, 8, 16, 32, 64}));
}

TEST(NestedLists, OfThreeRaggedAxesAgreeWithTheRectangleOfTheSameIds) {
  const std::vector<Key> ids{1, 2, 4, 8, 16, 32, 64, 2};
  const std::vector<std::int64_t> inner{0, 2, 4, 6, 8}, middle{0, 2, 4}, outer{0, 2};
  const IdsView lists{ids, {}, inner, {outer, middle}};
  for (const char* combiner : {"sum", "mean", "min", "max", "prod", "variance", "std", "logsumexp",
                               "euclidean_norm", "sqrtn"}) {
    EXPECT_EQ(output_of<SquashedEmbedding<Cpu>>(combiner, "zeros", lists),
              output_of<SquashedEmbedding<Cpu>>(combiner, "zeros", {ids, {1, 2, 2, 2}, {}}))
        << combiner;
  }
}

TEST(NestedLists, WhoseOffsetsDoNotFitAreRefused) {
  Lists lists;
  lists.outer.back() = 6;  // there are five lists
  EXPECT_THROW(output_of<SquashedEmbedding<Cpu>>("sum", "zeros", lists.view()), Error);
  lists.outer = {0, 3, 2, 5};
  EXPECT_THROW(output_of<SquashedEmbedding<Cpu>>("sum", "zeros", lists.view()), Error);
  const std::vector<std::int64_t> deep{0, 7};
  IdsView view{lists.ids, {}, deep, {}};
  const std::vector<std::int64_t> one{0, 1};
  view.outer.assign(7, one);
  EXPECT_THROW(output_of<SquashedEmbedding<Cpu>>("sum", "zeros", view), Error);
}

}  // namespace
}  // namespace keyshard
