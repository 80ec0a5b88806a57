// Steps of the dense parameters against hand work, and their bits against the cut into chunks and
// threads.
#include "launch/training/dense_optimizer.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "launch/training/dense_block.hpp"
#include "runtime/error.hpp"
#include "runtime/runs.hpp"
#include "tests/support/counts.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kSize = 9999;  // more than one block, and no multiple of one

/// Gradients of a step, of the numbers `chunk` of the whole.
std::vector<float> gradients(int step, Range chunk) {
  std::vector<float> result;
  for (std::int64_t i = chunk.begin; i < chunk.end; ++i) {
    result.push_back(std::sin(static_cast<float>(i * step)));
  }
  return result;
}

TEST(DenseOptimizer, SgdGoesAgainstTheGradientByTheScaledRate) {
  DenseOptimizer optimizer(Sgd{0.5f}, 2);
  Stream<Cpu> stream;
  const std::vector<float> gradient{1, -2};
  std::vector<float> weights{4, 4};
  optimizer.step(stream, 0.5f, gradient.data(), weights.data());
  EXPECT_EQ(weights, (std::vector<float>{3.75f, 4.5f}));
}

TEST(DenseOptimizer, AdagradDividesByTheRootOfTheSumOfSquares) {
  DenseOptimizer optimizer(Adagrad{1.0f, 0.0f, 0.0f}, 2);
  Stream<Cpu> stream;
  std::vector<float> weights{0, 0};
  for (const float g : {3.0f, 4.0f}) {
    const std::vector<float> gradient{g, -g};
    optimizer.step(stream, 1, gradient.data(), weights.data());
  }
  EXPECT_FLOAT_EQ(weights[0], -1 - 4.0f / 5.0f);
  EXPECT_FLOAT_EQ(weights[1], 1 + 4.0f / 5.0f);
}

/// All numbers after three Adam steps, made in `ranks` chunks on `threads` threads.
std::vector<float> three_steps(int ranks, int threads) {
  Stream<Cpu> stream(threads);
  std::vector<float> weights(kSize, 0.5f);
  for (int rank = 0; rank < ranks; ++rank) {
    const Range chunk = run_of(rank, ranks, kSize);
    DenseOptimizer optimizer(Adam{}, chunk.size());
    for (int step = 1; step <= 3; ++step) {
      optimizer.step(stream, 1, gradients(step, chunk).data(), weights.data() + chunk.begin);
    }
  }
  return weights;
}

TEST(DenseOptimizer, BitsDoNotDependOnChunksOrThreads) {
  const std::vector<float> one = three_steps(1, 1);
  for (const int ranks : testing::rank_counts({1, 2, 3, 5})) {
    EXPECT_EQ(three_steps(ranks, 2), one) << ranks;
  }
}

TEST(DenseOptimizer, ContinuesFromSavedStates) {
  const Range all{0, kSize};
  Stream<Cpu> stream;
  DenseOptimizer straight(Adam{}, kSize);
  std::vector<float> weights(kSize, 0.5f);
  straight.step(stream, 1, gradients(1, all).data(), weights.data());

  DenseOptimizer resumed(Adam{}, kSize);
  std::vector<float> copy = weights;
  resumed.states() = straight.states();
  const OptimizerClock& clock = straight.clock();
  resumed.clock().restore(clock.step(), clock.numbers());

  straight.step(stream, 1, gradients(2, all).data(), weights.data());
  resumed.step(stream, 1, gradients(2, all).data(), copy.data());
  EXPECT_EQ(weights, copy);
}

/// An optimizer of more states than any of the library: each counts the gradients it was given,
/// times its number.
struct ThreeCounts {
  static constexpr int kStates = 3;

  template <class Team, class Dim>
  void update(const Team&, float* w, float* state, const float* g, Dim dim,
              const StepScalars&) const {
    for (std::int64_t d = 0; d < dim; ++d) {
      w[d] = w[d] - g[d];
      for (std::int64_t s = 0; s < kStates; ++s) {
        state[s * dim + d] += static_cast<float>(s + 1) * g[d];
      }
    }
  }
};

TEST(DenseOptimizer, ABlockHasRoomForEveryStateOfItsOptimizer) {
  constexpr std::int64_t kNumbers = 2 * kDenseBlock + 5;
  const std::vector<float> gradient(kNumbers, 2);
  std::vector<float> weights(kNumbers, 7);
  std::vector<std::vector<float>> states(3, std::vector<float>(kNumbers, 1));
  const StepDenseBlock<ThreeCounts> step{{},
                                         {},
                                         kNumbers,
                                         gradient.data(),
                                         weights.data(),
                                         {states[0].data(), states[1].data(), states[2].data()}};
  for (std::int64_t block = 0; block < 3; ++block) {
    step(block);
  }
  EXPECT_EQ(weights, std::vector<float>(kNumbers, 5));
  EXPECT_EQ(states[0], std::vector<float>(kNumbers, 3));
  EXPECT_EQ(states[1], std::vector<float>(kNumbers, 5));
  EXPECT_EQ(states[2], std::vector<float>(kNumbers, 7));
}

TEST(DenseOptimizer, RefusesAnOptimizerOfRows) {
  EXPECT_THROW(DenseOptimizer(RowwiseAdagrad{}, 2), Error);
}

}  // namespace
}  // namespace keyshard
