// The functors that sum the gradients of keys, at the asker and at the owner, with teams of 8 and
// 32 lanes against one lane, bit for bit, for every combiner.
#include "embedding/lookup/gradient_functors.hpp"

#include <gtest/gtest.h>

#include "embedding/lookup/fold_functors.hpp"
#include "tests/embedding/lookup/functor_batch.hpp"

namespace keyshard {
namespace {

using testing::all_combiners;
using testing::Bits;
using testing::expect_same_bits;
using testing::FunctorBatch;
using testing::kDims;
using testing::Lanes;
using testing::PooledBatch;
using testing::weighted_combiners;

/// A batch on its way back: its bags are pooled, its message is planned.
struct Backward {
  FunctorBatch batch;
  std::vector<std::byte> answers;
  PooledBatch pooled;
  DeviceShape<Cpu> device;
  SliceNodes<Cpu> nodes;
  Buffer<std::uint32_t, Cpu> masks;
  PartialPlan<Cpu> plan;

  Backward(std::int64_t dim, const std::vector<Combiner>& combiners, bool weighted = false)
      : batch(dim, combiners, weighted),
        answers(testing::answers_of(batch)),
        pooled(testing::pool_all(batch, Lanes(1), answers)),
        device(batch.device()),
        nodes(batch.stream, batch.asker.run, batch.asker.slices),
        plan(plan_message(batch.stream, batch.shape, batch.asker, nodes, masks)) {}

  SumKeys<float> sum_keys(const std::vector<std::uint8_t>& terms, std::vector<std::byte>& message) {
    const AskerState<Cpu>& asker = batch.asker;
    return {.in = {.shape = device.ref,
                   .by_features = device.by_features,
                   .offsets = asker.distinct.offsets.data(),
                   .occurrences = asker.distinct.occurrences.data(),
                   .bag_of = asker.bag_of.data(),
                   .bags = asker.bags(),
                   .weights = asker.weights_of_occurrences(),
                   .slice_of = asker.slice_of.data(),
                   .node_of = nodes.first_of(),
                   .terms = terms.data(),
                   .upstream = batch.views.data(),
                   .kept = pooled.kept.data(),
                   .kept_bytes = batch.shape.kept_bytes,
                   .values = asker.values,
                   .value_offset = asker.value_offset(batch.shape),
                   .partials = reinterpret_cast<float*>(message.data()),
                   .partial_offset = {0, plan.places.data()}},
            .without = asker.reduced.data(),
            .terms = 2};
  }

  /// The message of this rank, from which its own gradients are folded.
  std::vector<std::byte> message(const Lanes& lanes) {
    std::vector<std::byte> out(static_cast<std::size_t>(plan.layout.size()));
    lanes.runs(batch.asker.distinct.blocks, sum_keys(batch.shape.terms, out));
    lanes.rows(batch.asker.parts.parts.size(), WriteBacks{.shape = device.ref,
                                                          .by_features = device.by_features,
                                                          .parts = batch.asker.parts.parts.data(),
                                                          .bags = batch.asker.bags(),
                                                          .weights = batch.asker.weights_of_items(),
                                                          .upstream = batch.views.data(),
                                                          .kept = pooled.kept.data(),
                                                          .kept_bytes = batch.shape.kept_bytes,
                                                          .bases = plan.layout.bases.data(),
                                                          .message = out.data()});
    return out;
  }
};

TEST(GradientFunctors, SumsOfKeysHaveTheSameBitsAtEveryWidth) {
  for (const std::int64_t dim : kDims) {
    for (const bool weighted : {false, true}) {
      Backward back(dim, weighted ? weighted_combiners() : all_combiners(), weighted);
      EXPECT_EQ(back.nodes.size(), 2);
      expect_same_bits([&](const Lanes& lanes) {
        Bits bits;
        bits.add(back.message(lanes));
        return bits;
      });
    }
  }
}

TEST(GradientFunctors, UpstreamGradientsHaveTheSameBitsAtEveryWidth) {
  for (const std::int64_t dim : kDims) {
    Backward back(dim, {Sum{}});
    EXPECT_EQ(back.batch.shape.terms, std::vector<std::uint8_t>(2, kUpstreamTerms));
    expect_same_bits([&](const Lanes& lanes) {
      Bits bits;
      bits.add(back.message(lanes));
      return bits;
    });
  }
}

TEST(GradientFunctors, TermsOfSumsAreTheUpstreamGradientsTimesTheirWeights) {
  for (const bool weighted : {false, true}) {
    const std::uint8_t expected = weighted ? kWeightedTerms : kUpstreamTerms;
    for (const std::int64_t dim : kDims) {
      // Several features, so that keys occur often.
      Backward back(dim, std::vector<Combiner>(4, Sum{}), weighted);
      EXPECT_EQ(back.batch.shape.terms, std::vector<std::uint8_t>(2, expected));
      std::vector<std::byte> messages[2];
      for (const std::size_t fast : {0, 1}) {
        messages[fast].resize(static_cast<std::size_t>(back.plan.layout.size()));
        const std::vector<std::uint8_t> terms(2, fast == 1 ? expected : std::uint8_t{kOtherTerms});
        Lanes(1).runs(back.batch.asker.distinct.blocks, back.sum_keys(terms, messages[fast]));
      }
      EXPECT_EQ(messages[0], messages[1]);
    }
  }
}

void expect_same_folds(std::int64_t dim, const std::vector<Combiner>& combiners, bool weighted) {
  Backward back(dim, combiners, weighted);
  FunctorBatch& batch = back.batch;
  const std::vector<std::byte> message = back.message(Lanes(1));
  OwnerState<Cpu> owner;
  owner.blocks = batch.asker.distinct.blocks;
  owner.parts = std::move(batch.received);
  const ReducedTerms<Cpu> terms(batch.stream, owner);
  std::vector<std::uint32_t> masks(back.masks.span().begin(), back.masks.span().end());
  std::fill(masks.begin() + owner.blocks[2], masks.end(), 0);  // the third table is reduced
  const std::vector<std::uint16_t> ranks(masks.size());
  std::vector<std::uint16_t> nodes(ReceivedTerms::kMostNodes);
  nodes[1] = 2;  // the slices 0 to 2: 0 and 1, and 2 alone
  expect_same_bits([&](const Lanes& lanes) {
    std::vector<float> sums(masks.size() * static_cast<std::size_t>(batch.row_dim));
    const std::vector<std::uint8_t> frozen(owner.blocks.size());
    lanes.runs(owner.blocks, FoldKeys<float>{{.shape = back.device.ref,
                                              .key_offsets = nullptr,
                                              .items = nullptr,
                                              .rank_of = ranks.data(),
                                              .masks = masks.data(),
                                              .partials = back.plan.places.data(),
                                              .nodes = nodes.data(),
                                              .term_offsets = terms.offsets.data(),
                                              .terms = terms.items.data(),
                                              .term_weights = terms.weights.data(),
                                              .parts = owner.parts.parts.data(),
                                              .message = message.data(),
                                              .bases = back.plan.layout.bases.data(),
                                              .values = batch.values.data(),
                                              .value_offset = {batch.row_dim, nullptr},
                                              .sums = sums.data()},
                                             frozen.data()});
    Bits bits;
    bits.add(sums);
    return bits;
  });
}

TEST(GradientFunctors, FoldsOfKeysHaveTheSameBitsAtEveryWidth) {
  for (const std::int64_t dim : kDims) {
    expect_same_folds(dim, all_combiners(), false);
    expect_same_folds(dim, weighted_combiners(), true);
  }
}

}  // namespace
}  // namespace keyshard
