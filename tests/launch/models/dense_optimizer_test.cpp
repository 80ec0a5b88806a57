// Steps of the flat vector against hand work, and their bits against the cut into chunks and
// threads.
#include "launch/models/dense_optimizer.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

Parameters layout_of(std::int64_t rows, std::int64_t cols) {
  Parameters layout;
  layout.add("W1", rows, cols, InitialValue::glorot_uniform);
  layout.add("b1", 1, cols, InitialValue::zeros);
  return layout;
}

TEST(DenseOptimizer, SgdWithL2ShrinksMatricesAndNotBiases) {
  const Parameters layout = layout_of(1, 2);
  DenseOptimizer optimizer(Sgd{0.5f}, 0.25f, layout, {0, 4});
  Stream<Cpu> stream;
  std::vector<float> gradient{1, 2, 3, 4}, weights{4, -4, 4, -4};
  optimizer.step(stream, gradient.data(), 0.5f, weights.data());
  // rate 1/4; gradient of W: 1 + 1, 2 - 1; of b: 3, 4.
  EXPECT_EQ(weights, (std::vector<float>{3.5f, -4.25f, 3.25f, -5}));
}

TEST(DenseOptimizer, AdagradDividesByTheRootOfTheSumOfSquares) {
  const Parameters layout = layout_of(1, 1);
  DenseOptimizer optimizer(Adagrad{1.0f, 0.0f, 0.0f}, 0, layout, {0, 2});
  Stream<Cpu> stream;
  std::vector<float> weights{0, 0};
  for (const float g : {3.0f, 4.0f}) {
    std::vector<float> gradient{g, -g};
    optimizer.step(stream, gradient.data(), 1, weights.data());
  }
  EXPECT_FLOAT_EQ(weights[0], -1 - 4.0f / 5.0f);
  EXPECT_FLOAT_EQ(weights[1], 1 + 4.0f / 5.0f);
}

/// All numbers and states after three Adam steps, made by `ranks` chunks on `threads` threads.
std::vector<std::vector<float>> three_steps(int ranks, int threads) {
  const Parameters layout = layout_of(100, 99);
  Stream<Cpu> stream(threads);
  std::vector<std::vector<float>> result(3, layout.initial_values(1));
  for (int rank = 0; rank < ranks; ++rank) {
    const Range chunk = run_of(rank, ranks, layout.size());
    DenseOptimizer optimizer(Adam{}, 0.01f, layout, chunk);
    for (int step = 0; step < 3; ++step) {
      std::vector<float> gradient;
      for (std::int64_t i = chunk.begin; i < chunk.end; ++i) {
        gradient.push_back(std::sin(static_cast<float>(i + step)));
      }
      optimizer.step(stream, gradient.data(), 1, result[0].data());
    }
    optimizer.read_state(0, result[1].data());
    optimizer.read_state(1, result[2].data());
  }
  return result;
}

TEST(DenseOptimizer, BitsDoNotDependOnChunksOrThreads) {
  const auto one = three_steps(1, 1);
  for (const int ranks : {1, 2, 3, 5}) {
    EXPECT_EQ(three_steps(ranks, 2), one) << ranks;
  }
}

TEST(DenseOptimizer, ContinuesFromASavedState) {
  const Parameters layout = layout_of(100, 99);
  const Range all{0, layout.size()};
  Stream<Cpu> stream;
  const auto gradient = [&](int step) {
    std::vector<float> g;
    for (std::int64_t i = 0; i < layout.size(); ++i) {
      g.push_back(std::cos(static_cast<float>(i * step)));
    }
    return g;
  };
  DenseOptimizer straight(Adam{}, 0, layout, all);
  std::vector<float> weights = layout.initial_values(2);
  std::vector<float> g = gradient(1);
  straight.step(stream, g.data(), 1, weights.data());

  DenseOptimizer resumed(Adam{}, 0, layout, all);
  std::vector<float> copy = weights;
  std::vector<float> state(weights.size());
  ASSERT_EQ(straight.columns().size(), 2u);
  for (const int column : {0, 1}) {
    straight.read_state(column, state.data());
    resumed.write_state(column, state.data());
  }
  const OptimizerClock& clock = straight.clock();
  resumed.clock().restore(clock.step(), clock.power_1(), clock.power_2());

  g = gradient(2);
  std::vector<float> h = g;
  straight.step(stream, g.data(), 1, weights.data());
  resumed.step(stream, h.data(), 1, copy.data());
  EXPECT_EQ(weights, copy);
}

TEST(DenseOptimizer, RefusesAnOptimizerOfRows) {
  const Parameters layout = layout_of(1, 1);
  EXPECT_THROW(DenseOptimizer(RowwiseAdagrad{}, 0, layout, {0, 2}), Error);
}

}  // namespace
}  // namespace keyshard
