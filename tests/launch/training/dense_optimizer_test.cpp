// Steps of the dense parameters against hand work, and the same bits for any number of chunks and
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
  Stream<Cpu> stream;
  DenseOptimizer<Cpu> optimizer(stream, Sgd{0.5f}, 2);
  const std::vector<float> gradient{1, -2};
  std::vector<float> weights{4, 4};
  optimizer.step(stream, 0.5f, gradient.data(), weights.data());
  EXPECT_EQ(weights, (std::vector<float>{3.75f, 4.5f}));
}

TEST(DenseOptimizer, AdagradDividesByTheRootOfTheSumOfSquares) {
  Stream<Cpu> stream;
  DenseOptimizer<Cpu> optimizer(stream, Adagrad{1.0f, 0.0f, 0.0f}, 2);
  std::vector<float> weights{0, 0};
  for (const float g : {3.0f, 4.0f}) {
    const std::vector<float> gradient{g, -g};
    optimizer.step(stream, 1, gradient.data(), weights.data());
  }
  EXPECT_FLOAT_EQ(weights[0], -1 - 4.0f / 5.0f);
  EXPECT_FLOAT_EQ(weights[1], 1 + 4.0f / 5.0f);
}

/// All numbers after three steps, made in `ranks` chunks on `threads` threads.
std::vector<float> three_steps(const Optimizer& rule, int ranks, int threads) {
  Stream<Cpu> stream(threads);
  std::vector<float> weights(kSize, 0.5f);
  for (int rank = 0; rank < ranks; ++rank) {
    const Range chunk = run_of(rank, ranks, kSize);
    DenseOptimizer<Cpu> optimizer(stream, rule, chunk.size());
    for (int step = 1; step <= 3; ++step) {
      optimizer.step(stream, 1, gradients(step, chunk).data(), weights.data() + chunk.begin);
    }
  }
  return weights;
}

TEST(DenseOptimizer, BitsDoNotDependOnChunksOrThreads) {
  // The last two have two states out of three, and three.
  for (const Optimizer& rule : {Optimizer(Adam{}), Optimizer(RmsProp{.momentum = 0.5f}),
                                Optimizer(RmsProp{.momentum = 0.5f, .centered = true})}) {
    const std::vector<float> one = three_steps(rule, 1, 1);
    for (const int ranks : testing::rank_counts({1, 2, 3, 5})) {
      EXPECT_EQ(three_steps(rule, ranks, 2), one) << ranks;
    }
  }
}

TEST(DenseOptimizer, ContinuesFromSavedStates) {
  const Range all{0, kSize};
  Stream<Cpu> stream;
  DenseOptimizer<Cpu> straight(stream, Adam{}, kSize);
  std::vector<float> weights(kSize, 0.5f);
  straight.step(stream, 1, gradients(1, all).data(), weights.data());

  DenseOptimizer<Cpu> resumed(stream, Adam{}, kSize);
  std::vector<float> copy = weights;
  resumed.restore(stream, straight.states(stream));
  const OptimizerClock& clock = straight.clock();
  resumed.clock().restore(clock.step(), clock.numbers());

  straight.step(stream, 1, gradients(2, all).data(), weights.data());
  resumed.step(stream, 1, gradients(2, all).data(), copy.data());
  EXPECT_EQ(weights, copy);
}

TEST(DenseOptimizer, StatesBeginWithTheirInitialValuesAndAreThoseThatWereGiven) {
  Stream<Cpu> stream;
  DenseOptimizer<Cpu> optimizer(stream, Ftrl{}, kSize);
  EXPECT_EQ(optimizer.names(), (std::vector<std::string>{"accumulator", "linear"}));
  EXPECT_EQ(optimizer.states(stream),
            (std::vector<std::vector<float>>{std::vector<float>(kSize, 0.1f),
                                             std::vector<float>(kSize, 0.0f)}));
  const std::vector<std::vector<float>> given{gradients(1, {0, kSize}), gradients(2, {0, kSize})};
  optimizer.restore(stream, given);
  EXPECT_EQ(optimizer.states(stream), given);
}

/// An optimizer with more states than any rule of the library: each state adds up the gradients,
/// times the number of the state.
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
  const DenseBlocks blocks{2 * kDenseBlock + 5};
  const auto size = static_cast<std::size_t>(blocks.size);
  const std::vector<float> gradient(size, 2);
  std::vector<float> weights(size, 7), states(3 * size, 1);
  const StepDenseBlock<ThreeCounts> step{.rule = {},
                                         .scalars = {},
                                         .blocks = blocks,
                                         .gradients = gradient.data(),
                                         .weights = weights.data(),
                                         .states = states.data(),
                                         .num_states = ThreeCounts::kStates};
  ASSERT_EQ(blocks.count(), 3);
  for (std::int64_t block = 0; block < blocks.count(); ++block) {
    step(block, Solo{});
  }
  EXPECT_EQ(weights, std::vector<float>(size, 5));
  for (std::int64_t block = 0; block < blocks.count(); ++block) {
    for (std::int64_t state = 0; state < 3; ++state) {
      for (std::int64_t i = 0; i < blocks.numbers_of(block).size(); ++i) {
        EXPECT_EQ(states[static_cast<std::size_t>(blocks.place_of(block, state, 3) + i)],
                  static_cast<float>(3 + 2 * state));
      }
    }
  }
}

TEST(DenseOptimizer, RefusesAnOptimizerOfRows) {
  Stream<Cpu> stream;
  EXPECT_THROW(DenseOptimizer<Cpu>(stream, RowwiseAdagrad{}, 2), Error);
  EXPECT_THROW(DenseOptimizer<Cpu>(stream, Lamb{}, 2), Error);
}

}  // namespace
}  // namespace keyshard
