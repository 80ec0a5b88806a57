// The dense side by itself: what it refuses, and how its state is saved and restored. tests/step
// checks its bits over ranks and threads in whole steps.
#include "launch/training/dense_side.hpp"

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

using testing::run_ranks;

constexpr std::int64_t kSlices = 4;

/// Logistic regression, whose parameters are a bias and a weight for each dense column.
ModelOptions logistic() {
  ModelOptions options;
  options.type = ModelType::logistic;
  options.loss = Loss::squared_error;
  return options;
}

/// A sample in each slice, with `columns` dense columns of 0.
Batch batch_of(std::int64_t columns) {
  Batch batch;
  batch.slices = {0, kSlices};
  for (std::int64_t sample = 0; sample <= kSlices; ++sample) {
    batch.slice_offsets.push_back(sample);
  }
  for (std::int64_t sample = 0; sample < kSlices; ++sample) {
    batch.sample_numbers.push_back(sample);
    batch.labels.push_back(-4);
  }
  batch.dense_columns = columns;
  batch.dense.assign(static_cast<std::size_t>(kSlices * columns), 0.0f);
  return batch;
}

/// One step of a dense side on one rank, from embeddings of 0.
void step(DenseSide<Cpu>& dense, const Batch& batch) {
  std::vector<float> linear(kSlices, 0.0f), gradient(kSlices);
  const MatrixView<float> pooled{linear.data(), kSlices, 1, 1};
  dense.forward_backward(batch, {1, 1, kSlices}, {{}, pooled},
                         {{}, {gradient.data(), kSlices, 1, 1}});
  dense.update(1);
}

TEST(DenseSide, TheFirstGradientThatIsNotFiniteIsNamed) {
  run_ranks(1, 2, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    DenseSide<Cpu> dense(logistic(), {{"a"}, {}, 9000}, communicator, stream, kSlices, 1);
    Batch batch = batch_of(9000);
    // The loss of a weight of 0 is finite, and its gradient is 2 x 4 x 3e38 / 4.
    batch.dense[9000 + 7777] = batch.dense[4123] = 3e38f;
    try {
      step(dense, batch);
      FAIL() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::non_finite);
      EXPECT_EQ(error.text(),
                "expected finite gradients of the dense parameters: found inf at 4124");
    }
    EXPECT_EQ(dense.parts()[0].values, std::vector<float>(9001, 0.0f)) << "no weight was changed";
  });
}

TEST(DenseSide, GoesOnFromItsPartsAsIfItHadNotStopped) {
  run_ranks(1, 2, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Batch batch = batch_of(3);
    for (std::size_t i = 0; i < batch.dense.size(); ++i) {
      batch.dense[i] = static_cast<float>(i) - 5;
    }
    DenseSide<Cpu> straight(logistic(), {{"a"}, {}, 3}, communicator, stream, kSlices, 1);
    step(straight, batch);

    const std::vector<DensePart> parts = straight.parts();
    ASSERT_EQ(parts.size(), 3u);  // the weights and two states of Adam
    DenseSide<Cpu> resumed(logistic(), {{"a"}, {}, 3}, communicator, stream, kSlices, 2);
    resumed.restore({parts[0].values, {parts[1].values, parts[2].values}, {}});
    const OptimizerClock& clock = straight.optimizer().clock();
    resumed.optimizer().clock().restore(clock.step(), clock.numbers());
    step(straight, batch);
    step(resumed, batch);
    for (std::size_t part = 0; part < parts.size(); ++part) {
      EXPECT_EQ(resumed.parts()[part].values, straight.parts()[part].values);
      EXPECT_NE(straight.parts()[part].values, parts[part].values);
    }
  });
}

TEST(DenseSide, StatesOfAnotherSizeAreRefused) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    DenseSide<Cpu> dense(logistic(), {{"a"}, {}, 1}, communicator, stream, kSlices, 1);
    const std::vector<float> two(2), three(3);
    EXPECT_THROW(dense.restore({three, {two, two}, {}}), Error);
    EXPECT_THROW(dense.restore({two, {two}, {}}), Error);
    EXPECT_THROW(dense.restore({two, {two, three}, {}}), Error);
    EXPECT_THROW(dense.restore({two, {two, two}, two}), Error) << "there is no batch norm";
  });
}

}  // namespace
}  // namespace keyshard
