// A batch as it is filled and emptied.
#include "io/batch.hpp"

#include <gtest/gtest.h>

namespace keyshard {
namespace {

Batch two_samples() {
  Batch batch;
  batch.slices = {4, 5};
  batch.slice_offsets = {0, 2};
  batch.sample_numbers = {8, 9};
  batch.records = {100, 101};
  batch.labels = {1, 0};
  batch.weights = {0.5f, 2};
  batch.dense_columns = 1;
  batch.dense = {3, 4};
  batch.features = 2;
  batch.ids = {7, 8, 9};
  batch.id_offsets = {0, 1, 1, 3, 3};
  batch.bad_lines = 1;
  batch.first_bad_line = "a.csv:3: x";
  return batch;
}

TEST(Batch, HasABagForEveryFeatureOfEverySample) {
  const Batch batch = two_samples();
  const RaggedView<const Key> bags = batch.bags();

  EXPECT_EQ(batch.samples(), 2);
  EXPECT_EQ(bags.lists(), batch.samples() * batch.features);
  // Bag 0 of sample 1 is list 2: ids 8 and 9.
  EXPECT_EQ(bags.offsets[2], 1);
  EXPECT_EQ(bags.offsets[3], 3);
  EXPECT_EQ(bags.values[1], 8u);
}

TEST(Batch, ClearLeavesNothingOfTheSamples) {
  Batch batch = two_samples();
  batch.clear();

  EXPECT_EQ(batch.samples(), 0);
  EXPECT_TRUE(batch.slice_offsets.empty());
  EXPECT_TRUE(batch.sample_numbers.empty());
  EXPECT_TRUE(batch.records.empty());
  EXPECT_TRUE(batch.weights.empty());
  EXPECT_TRUE(batch.dense.empty());
  EXPECT_TRUE(batch.ids.empty());
  EXPECT_TRUE(batch.id_offsets.empty());
  EXPECT_EQ(batch.bad_lines, 0);
  EXPECT_EQ(batch.first_bad_line, "");
}

TEST(Batch, ClearKeepsTheMemory) {
  Batch batch = two_samples();
  const float* labels = batch.labels.data();
  const Key* ids = batch.ids.data();
  batch.clear();
  batch.labels = {5};
  batch.ids = {6};

  EXPECT_EQ(batch.labels.data(), labels);
  EXPECT_EQ(batch.ids.data(), ids);
}

TEST(Batch, WithoutSamplesHasNoBags) { EXPECT_EQ(Batch().bags().lists(), 0); }

}  // namespace
}  // namespace keyshard
