// Layers with max_norm: rows, outputs and gradients of T2.6 (a row is clipped wherever it is read
// or written, and loses the part of its gradient along itself at the limit), and their bits on
// ranks.
#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "runtime/error.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

LayerOptions layer_options(double max_norm, std::int64_t dim = 2) {
  LayerOptions options;
  options.name = "items";
  options.embedding_size = dim;
  options.initializer = Constant{2.0f};
  options.optimizer = Sgd{0.1f};
  options.max_norm = max_norm;
  return options;
}

std::vector<float> floats(const LayerOutput<Cpu>& output) {
  return {output.values.data(), output.values.data() + output.values.size()};
}

void expect_close(const std::vector<float>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 2e-7) << i;
  }
}

TEST(MaxNorm, ClipsWhatIsReadInTrainingAndInInference) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, layer_options(2));
    const std::vector<Key> keys{1, 2, 3};
    const std::vector<float> rows{2, 4, 3, 1, 0.5f, -1};
    layer.table().assign(stream, keys, rows.data());
    const std::vector<Key> ids{1, 2, 3, 4};  // 4 has no row: (2, 2)
    const std::vector<double> expected{2 * 2 / std::sqrt(20.0),
                                       2 * 4 / std::sqrt(20.0),
                                       2 * 3 / std::sqrt(10.0),
                                       2 * 1 / std::sqrt(10.0),
                                       0.5,
                                       -1,
                                       std::sqrt(2.0),
                                       std::sqrt(2.0)};
    for (const bool training : {true, false}) {
      expect_close(floats(layer.forward(stream, {ids, {4, 1}, {}}, training)), expected);
    }
  });
}

TEST(MaxNorm, ClipsARowOfOneNumber) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, layer_options(1, 1));
    const std::vector<Key> ids{1};  // no row: 2
    EXPECT_EQ(floats(layer.forward(stream, {ids, {1, 1}, {}}, false)), (std::vector<float>{1}));
  });
}

/// The row of key 1 after a step of SGD with this gradient of its bag, from the row (3, 4).
std::vector<float> stepped(double max_norm, const std::vector<float>& gradient, float rate = 0.1f,
                           const Regularization& regularization = {}) {
  std::vector<float> row;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = layer_options(max_norm);
    options.optimizer = Sgd{rate};
    options.regularization = regularization;
    SquashedEmbedding<Cpu> layer(tables, options);
    const std::vector<Key> ids{1};
    const float before[] = {3, 4};
    layer.table().assign(stream, ids, before);
    const auto output = layer.forward(stream, {ids, {1, 1}, {}});
    layer.backward(stream, output, gradient.data());
    tables.apply(stream, {});
    row = layer.get_weights().values;
  });
  return row;
}

TEST(MaxNorm, ProjectsTheGradientAtTheLimitAndClipsTheStep) {
  // Clipped to (0.6, 0.8); (1, 0) - (0.6, 0.8) 0.6 = (0.64, -0.48); the step goes to
  // (0.536, 0.848), whose norm is above 1.
  const double norm = std::sqrt(0.536 * 0.536 + 0.848 * 0.848);
  expect_close(stepped(1, {1, 0}), {0.536 / norm, 0.848 / norm});
  // Below the limit of 10: nothing but SGD.
  EXPECT_EQ(stepped(10, {10, 0}), (std::vector<float>{2, 4}));
  // (3, 4) is at a limit of 5, and also at one that is longer by less than a millionth.
  for (const double limit : {5.0, 5 / (1 - 0.5e-6)}) {
    const double moved = std::sqrt((3 - 0.064) * (3 - 0.064) + 4.048 * 4.048);
    const double factor = std::min(1.0, limit / moved);
    const std::vector<float> found = stepped(limit, {1, 0});
    EXPECT_NEAR(found[0], (3 - 0.064) * factor, 1e-6) << limit;
    EXPECT_NEAR(found[1], 4.048 * factor, 1e-6) << limit;
  }
  // But not at one that is longer by more: the gradient is whole, and the step stays within.
  EXPECT_FLOAT_EQ(stepped(5 / (1 - 2e-6), {1, 0})[0], 2.9f);
  // A gradient along the row does nothing at the limit.
  expect_close(stepped(1, {3, 4}), {0.6, 0.8});
}

TEST(MaxNorm, ProjectsAGradientBeforeItIsClipped) {
  // (100, 0) - (3, 4) 300 / 25 = (64, -48), of norm 80, is clipped to (3.2, -2.4); the row becomes
  // (-0.2, 6.4).
  const std::vector<float> found = stepped(5, {100, 0}, 1, {.clip_norm = 4});
  EXPECT_NEAR(found[0], -0.2 * 5 / std::sqrt(0.04 + 40.96), 1e-6);
  EXPECT_NEAR(found[1], 6.4 * 5 / std::sqrt(0.04 + 40.96), 1e-6);
  // L2 is not projected, and weights decay along the row: (3, 4) / 2 - (3, 4) / 4.
  const std::vector<float> shrunk = stepped(5, {3, 4}, 1, {.l2 = 0.25f, .weight_decay = 0.5f});
  EXPECT_NEAR(shrunk[0], 0.75, 1e-6);
  EXPECT_NEAR(shrunk[1], 1, 1e-6);
}

TEST(MaxNorm, GivesWeightsThatComeBackWithTheirBits) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    for (const double limit : {0.3, 1.0, 7.7}) {
      TableSet<Cpu> tables(communicator);
      LayerOptions options = layer_options(limit, 17);
      options.initializer = Normal{0, 100};
      SquashedEmbedding<Cpu> layer(tables, options);
      layer.build({std::nullopt, std::nullopt});
      std::vector<Key> keys(2000);
      for (Key key = 0; key < 2000; ++key) {
        keys[key] = key;
      }
      std::vector<RowId> rows(keys.size());
      layer.table().find_or_insert(stream, keys, rows.data());
      const LayerWeights weights = layer.get_weights();
      for (std::size_t i = 0; i < weights.values.size(); i += 17) {
        double squares = 0;
        for (std::size_t d = i; d < i + 17; ++d) {
          squares += static_cast<double>(weights.values[d]) * weights.values[d];
        }
        EXPECT_NEAR(std::sqrt(squares), limit, limit * 1e-7);
      }
      layer.set_weights(stream, weights);
      EXPECT_EQ(layer.get_weights().values, weights.values);
    }
  });
}

/// Outputs by sample and rows by key, after three steps of two calls each.
struct Outcome {
  std::map<std::int64_t, std::vector<float>> outputs;
  std::map<Key, std::vector<float>> rows;

  bool operator==(const Outcome&) const = default;
};

constexpr std::int64_t kSlices = 8, kDim = 5;

/// The bag of the sample that slice `slice` has in a step.
std::vector<Key> bag_of(std::int64_t step, std::int64_t slice) {
  std::vector<Key> bag;
  for (std::int64_t i = 0; i < (slice + step) % 4; ++i) {
    bag.push_back(static_cast<Key>((slice * 5 + step * 3 + i * i) % 9));
  }
  return bag;
}

void step(Stream<Cpu>& stream, TableSet<Cpu>& tables, SquashedEmbedding<Cpu>& layer,
          std::int64_t number, const Range& run, Outcome& out, std::mutex& mutex) {
  std::vector<Key> ids;
  std::vector<std::int64_t> offsets{0}, samples{0};
  std::vector<float> upstream;
  for (std::int64_t s = run.begin; s < run.end; ++s) {
    const std::vector<Key> bag = bag_of(number, s);
    ids.insert(ids.end(), bag.begin(), bag.end());
    offsets.push_back(static_cast<std::int64_t>(ids.size()));
    samples.push_back(samples.back() + 1);
    for (std::int64_t d = 0; d < kDim; ++d) {
      upstream.push_back(static_cast<float>((s * 7 + d * 3 + number) % 11) / 3.0f - 1.5f);
    }
  }
  const SliceLayout slices{kSlices, run, samples};
  std::vector<float> values;
  for (int call = 0; call < 2; ++call) {
    const auto output = layer.forward(stream, {ids, {}, offsets}, true, &slices);
    layer.backward(stream, output, upstream.data());
    values = floats(output);
  }
  tables.apply(stream, {});
  const std::lock_guard lock(mutex);
  for (std::int64_t s = run.begin; s < run.end; ++s) {
    const auto first = values.begin() + (s - run.begin) * kDim;
    out.outputs[number * kSlices + s].assign(first, first + kDim);
  }
}

Outcome trained(int ranks, int threads, ExchangeMode exchange, bool bp_v2 = false) {
  Outcome out;
  std::mutex mutex;
  run_ranks(ranks, threads, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = layer_options(0.7, kDim);
    options.initializer = Normal{0, 0.4f};  // some are above the limit, and some are not
    options.optimizer = Adam{0.05f};
    options.combiner = "mean";
    options.pool_order = PoolOrder::shard;
    options.exchange = exchange;
    options.bp_v2 = bp_v2;
    SquashedEmbedding<Cpu> layer(tables, options);
    const Range run = run_of(communicator.rank(), ranks, kSlices);
    for (std::int64_t number = 0; number < 3; ++number) {
      step(stream, tables, layer, number, run, out, mutex);
    }
    const LayerWeights weights = layer.get_weights();
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < weights.keys.size(); ++i) {
      const auto first = weights.values.begin() + static_cast<std::ptrdiff_t>(i) * kDim;
      out.rows[weights.keys[i]].assign(first, first + kDim);
    }
  });
  return out;
}

TEST(MaxNorm, HasTheSameBitsOnAnyNumberOfRanksAndInEveryExchangeMode) {
  const Outcome one = trained(1, 1, ExchangeMode::rows);
  EXPECT_EQ(one.rows.size(), 9u);
  for (const int ranks : rank_counts({1, 2, 3, 4, 5, 8})) {
    for (const auto exchange :
         {ExchangeMode::rows, ExchangeMode::reduced, ExchangeMode::automatic}) {
      EXPECT_EQ(trained(ranks, 1 + ranks % 2, exchange), one) << ranks << " ranks";
      EXPECT_EQ(trained(ranks, 1, exchange, /*bp_v2=*/true), one) << ranks << " ranks";
    }
  }
}

TEST(MaxNorm, OfASharedTableIsThatOfTheTable) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> first(tables, layer_options(2));
    LayerOptions options = layer_options(3);
    options.name = "other";
    options.share = "items";
    EXPECT_THROW(SquashedEmbedding<Cpu>(tables, options), Error);
    options.max_norm = 2;
    EXPECT_EQ(&SquashedEmbedding<Cpu>(tables, options).table(), &first.table());
    options.name = "third";
    options.max_norm.reset();
    EXPECT_EQ(&SquashedEmbedding<Cpu>(tables, options).table(), &first.table());
  });
}

}  // namespace
}  // namespace keyshard::testing
