// The functors that pool bags, at the asker and at the owner, with teams of 8 and 32 lanes against
// one lane, bit for bit, for every combiner.
#include "embedding/lookup/bag_functors.hpp"

#include <gtest/gtest.h>

#include "embedding/lookup/reduced.hpp"
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

TEST(BagFunctors, PoolingReducingAndMergingHaveTheSameBitsAtEveryWidth) {
  for (const std::int64_t dim : kDims) {
    for (const bool weighted : {false, true}) {
      FunctorBatch batch(dim, weighted ? weighted_combiners() : all_combiners(), weighted);
      EXPECT_GT(batch.received.parts.size(), 0);
      EXPECT_EQ(batch.asker.bag_weights.empty(), !weighted);
      expect_same_bits([&](const Lanes& lanes) {
        std::vector<std::byte> answers = testing::answers_of(batch);
        Bits bits;
        testing::pool_all(batch, lanes, answers).add_to(bits);
        bits.add(answers);
        return bits;
      });
    }
  }
}

TEST(BagFunctors, BagsArePooledFromRowsWhereTheyLie) {
  FunctorBatch batch(7, all_combiners());
  const DeviceShape<Cpu> device = batch.device();
  PooledBatch copied(batch), in_place(batch);
  PoolBags pool = testing::pool_bags(batch, device, copied);
  run_rows(0, batch.num_bags(), pool);
  std::vector<const float*> rows;
  for (std::int64_t u = 0; u < batch.keys(); ++u) {
    rows.push_back(pool.rows(u));
  }
  pool = testing::pool_bags(batch, device, in_place);
  pool.rows = {nullptr, {0, nullptr}, rows.data()};
  run_rows(0, batch.num_bags(), pool);
  EXPECT_EQ(in_place.pooled, copied.pooled);
  EXPECT_EQ(in_place.kept, copied.kept);
}

/// Compares the bags of the second table with those of the third one, which have the same rows and
/// combiners, and are pooled by shard and from their parts.
void expect_same_from_parts(std::int64_t dim, const std::vector<Combiner>& combiners,
                            bool weighted) {
  const auto features = static_cast<std::int64_t>(combiners.size());
  FunctorBatch batch(dim, combiners, weighted);
  EXPECT_EQ(batch.received.weighted, weighted);
  std::vector<std::byte> answers = testing::answers_of(batch);
  const PooledBatch parts = testing::pool_all(batch, Lanes(1), answers);
  // The same bags without the reduced form, from the values of the owner.
  const DeviceShape<Cpu> device = batch.device();
  PooledBatch rows(batch);
  PoolBags pool = testing::pool_bags(batch, device, rows);
  const std::vector<std::uint8_t> none(3);
  pool.reduced = none.data();
  pool.rows = {batch.values.data(), {batch.row_dim, nullptr}, nullptr};
  run_rows(0, batch.num_bags(), pool);
  const std::int64_t first =
      batch.shape.groups[static_cast<std::size_t>(2 * features) * batch.shape.widths.size()].column;
  for (std::int64_t sample = 0; sample < FunctorBatch::kSamples; ++sample) {
    for (std::int64_t c = first; c < first + features * dim; ++c) {
      EXPECT_EQ(parts.views[0].row(sample)[c], rows.views[0].row(sample)[c]);
    }
  }
}

TEST(BagFunctors, ABagIsPooledToTheSameBitsByItsShardsAndFromItsParts) {
  for (const std::int64_t dim : kDims) {
    expect_same_from_parts(dim, all_combiners(), false);
    expect_same_from_parts(dim, weighted_combiners(), true);
  }
}

TEST(BagFunctors, BackwardMessagesHaveTheSameBitsAtEveryWidth) {
  for (const std::int64_t dim : kDims) {
    for (const bool weighted : {false, true}) {
      FunctorBatch batch(dim, weighted ? weighted_combiners() : all_combiners(), weighted);
      std::vector<std::byte> answers = testing::answers_of(batch);
      PooledBatch pooled = testing::pool_all(batch, Lanes(1), answers);
      const DeviceShape<Cpu> device = batch.device();
      const BlockLayout layout(batch.asker.parts.back_bytes, 1);
      expect_same_bits([&](const Lanes& lanes) {
        std::vector<std::byte> message(static_cast<std::size_t>(layout.size()));
        lanes.rows(batch.asker.parts.parts.size(),
                   WriteBacks{.shape = device.ref,
                              .by_features = device.by_features,
                              .parts = batch.asker.parts.parts.data(),
                              .bags = batch.asker.bags(),
                              .weights = batch.asker.weights_of_items(),
                              .upstream = batch.views.data(),
                              .kept = pooled.kept.data(),
                              .kept_bytes = batch.shape.kept_bytes,
                              .bases = layout.bases.data(),
                              .message = message.data()});
        Bits bits;
        bits.add(message);
        return bits;
      });
    }
  }
}

}  // namespace
}  // namespace keyshard
