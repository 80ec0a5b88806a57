// Layers with rows of doubles and functions of a program: losses of outputs that are computed in
// double, and what takes floats alone.
#include <cmath>
#include <map>
#include <mutex>

#include "embedding/layers/squashed_embedding.hpp"
#include "tests/embedding/layers/layer_on_ranks.hpp"

namespace keyshard::testing {
namespace {

using Doubles = std::vector<double>;

/// Rows of 0.1, which no float has.
LayerOptions doubles() {
  LayerOptions options = items();
  options.value_dtype = "float64";
  options.initializer = Constant{0.1};
  return options;
}

TEST(LossesOfDoubles, OfActivityHaveValuesAndGradientsInDouble) {
  LayerOptions options = doubles();
  options.activity_regularizer = ActivityOptions{0.5, 2, ""};
  on_ranks(
      [](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
        const Batch batch(tables.communicator());
        const LayerOutput<Cpu> output = layer(stream, batch.view(), batch.call());
        // 12 samples of two numbers y = 0.1: 24 (0.5 y + 2 y^2) / 12. A float would be off by 1e-9.
        EXPECT_NEAR(layer.losses().at(0), 2 * (0.5 * 0.1 + 2 * 0.1 * 0.1), 1e-16);
        layer.backward(stream, output, Doubles(batch.ids.size() * 2, 0.3).data());
        tables.apply(stream, {});
        // The gradient is 0.3 + (0.5 + 2 * 2 * y) / 12.
        for (const double value : layer.get_weights().doubles) {
          EXPECT_NEAR(value, 0.1 - (0.3 + (0.5 + 4 * 0.1) / 12), 1e-16);
        }
      },
      options);
}

TEST(LossesOfDoubles, HaveTheSameBitsOnAnyNumberOfRanksAndInEveryLayer) {
  const auto losses_of = [](int ranks, auto make, std::int64_t axes) {
    double loss = 0;
    LayerOptions options = doubles();
    options.initializer = Normal{};
    options.activity_regularizer = ActivityOptions{0.1, 0.7, ""};
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      auto layer = make(tables, options);
      const Batch batch(communicator);
      const auto n = static_cast<std::int64_t>(batch.ids.size());
      const std::vector<std::int64_t> shape =
          axes == 2 ? std::vector<std::int64_t>{n, 1} : std::vector<std::int64_t>{n, 1, 1};
      layer(stream, {batch.ids, shape, {}}, batch.call());
      const std::vector<double> losses = layer.losses();
      if (communicator.rank() == 0) {
        loss = losses.at(0);
      }
    });
    return loss;
  };
  const auto rows = [](TableSet<Cpu>& tables, const LayerOptions& options) {
    return Embedding<Cpu>(tables, options);
  };
  const auto bags = [](TableSet<Cpu>& tables, const LayerOptions& options) {
    return SquashedEmbedding<Cpu>(tables, options);
  };
  // Bags of one id have the outputs of single ids.
  const double expected = losses_of(1, rows, 2);
  EXPECT_GT(expected, 0);
  for (const int ranks : {1, 2, 3, 5}) {
    EXPECT_EQ(losses_of(ranks, rows, 2), expected) << ranks;
    EXPECT_EQ(losses_of(ranks, bags, 2), expected) << ranks;
    EXPECT_EQ(losses_of(ranks, bags, 3), expected) << ranks;
  }
}

/// f(y) = y^3.
struct Cube {
  KEYSHARD_HD double value(double y) const { return y * y * y; }

  KEYSHARD_HD double derivative(double y) const { return 3 * y * y; }
};

struct CubeOfFloats {
  KEYSHARD_HD double value(float y) const { return double{y} * y * y; }

  KEYSHARD_HD double derivative(float y) const { return 3 * double{y} * y; }
};

TEST(LossesOfDoubles, OfAProgramHaveTheirGradient) {
  on_ranks(
      [](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
        const Batch batch(tables.communicator());
        LayerOutput<Cpu> output = layer(stream, batch.view(), batch.call());
        layer.add_loss(stream, output, output_function<Cpu>("cube", Cube{}), 2);
        EXPECT_NEAR(layer.losses().at(0), 2 * 24 * 0.1 * 0.1 * 0.1, 1e-16);
        layer.backward(stream, output, Doubles(batch.ids.size() * 2, 0).data());
        tables.apply(stream, {});
        for (const double value : layer.get_weights().doubles) {
          EXPECT_NEAR(value, 0.1 - 2 * 3 * 0.1 * 0.1, 1e-16);
        }
      },
      doubles());
}

TEST(LossesOfDoubles, RefuseFunctionsOfFloatsWithWhatIsExpected) {
  const OutputFunction<Cpu> floats = output_function<Cpu>("floats", CubeOfFloats{});
  EXPECT_FALSE(floats.takes_doubles());
  EXPECT_TRUE(output_function<Cpu>("cube", Cube{}).takes_doubles());
  const std::string expected =
      "layer items: expected a function of outputs of float64, with double value(double) const and "
      "double derivative(double) const: found one of floats";
  on_ranks(
      [&](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
        EXPECT_EQ(message_of([&] { layer.set_activity_regularizer(floats); }), expected);
        EXPECT_EQ(layer.activity_regularizer(), nullptr);
        const Batch batch(tables.communicator());
        LayerOutput<Cpu> output = layer(stream, batch.view(), batch.call());
        EXPECT_EQ(message_of([&] { layer.add_loss(stream, output, floats); }), expected);
      },
      doubles());
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = doubles();
    options.activity_regularizer = ActivityOptions{0, 0, "floats"};
    UserFunctions<Cpu> functions;
    functions.output_functions = {floats};
    EXPECT_EQ(message_of([&] { SquashedEmbedding<Cpu> layer(tables, options, functions); }),
              expected);
    EXPECT_TRUE(tables.tables().empty());
    options.value_dtype = "int64";
    options.trainable = false;
    EXPECT_NE(message_of([&] {
                Embedding<Cpu> layer(tables, options, functions);
              }).find("expected no function of outputs of integers"),
              std::string::npos);
  });
}

}  // namespace
}  // namespace keyshard::testing
