// Layers with rows of doubles and functions of a program: losses of outputs, optimizers and
// initializers that are computed in double, and what takes floats alone.
#include <cmath>
#include <map>
#include <mutex>

#include "embedding/layers/squashed_embedding.hpp"
#include "tests/embedding/layers/layer_on_ranks.hpp"
#include "tests/support/own_rules.hpp"

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

/// w -= 0.1 g, and adds up the gradients in `seen`.
struct Summing {
  static constexpr int kStates = 1;

  std::array<StateRule, kStates> states() const { return {{{"seen", 0.3}}}; }

  template <class Team, class T, class Dim>
  void update(const Team&, T* w, T* state, const T* g, Dim dim, const StepScalars&) const {
    for (std::int64_t d = 0; d < dim; ++d) {
      state[d] += g[d];
      w[d] -= static_cast<T>(0.1) * g[d];
    }
  }
};

/// Column d of key k is k / 10 + d / 3.
struct Tenths {
  template <class T>
  void fill(std::uint64_t, Key key, std::int64_t dim, T* row) const {
    for (std::int64_t d = 0; d < dim; ++d) {
      row[d] = static_cast<T>(key) / 10 + static_cast<T>(d) / 3;
    }
  }
};

double tenths(Key key, std::size_t d) {
  return static_cast<double>(key) / 10 + static_cast<double>(d) / 3;
}

/// A rule of words: the column in thirds.
struct Thirds {
  double operator()(std::uint32_t, std::int64_t column) const {
    return static_cast<double>(column) / 3;
  }
};

TEST(OwnRulesOfDoubles, StepRowsAndKeepStatesInDouble) {
  LayerOptions options = doubles();
  options.optimizer = own_optimizer(Summing{});
  options.initializer = own_initializer(Tenths{});
  on_ranks(
      [](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
        const Batch batch(tables.communicator());
        for (int step = 0; step < 2; ++step) {
          const LayerOutput<Cpu> output = layer(stream, batch.view(), batch.call());
          layer.backward(stream, output, Doubles(batch.ids.size() * 2, 0.7).data());
          tables.apply(stream, {});
        }
        const LayerWeights mine = layer.get_weights();
        for (std::size_t i = 0; i < mine.keys.size(); ++i) {
          for (std::size_t d = 0; d < 2; ++d) {
            double w = tenths(mine.keys[i], d);
            w -= 0.1 * 0.7;
            w -= 0.1 * 0.7;
            EXPECT_EQ(mine.doubles[2 * i + d], w) << mine.keys[i];
          }
        }
        const Table<Cpu>& table = layer.table();
        const Key key = 7;
        if (table.shards().contains(shard_of(table.partitioner(), key))) {
          RowId row = kNoRow;
          table.find(stream, Span<const Key>(&key, 1), &row);
          Doubles seen(2);
          const RowColumn column = table.columns().at(1);
          ASSERT_EQ(column.name, "state/values/seen");
          table.copy_column(Span<const RowId>(&row, 1), column, seen.data());
          EXPECT_EQ(seen, Doubles(2, 0.3 + 0.7 + 0.7));
        }
      },
      options);
}

TEST(OwnRulesOfDoubles, OfWordsGiveEveryBitOfTheirNumbers) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = doubles();
    options.initializer = own_initializer(Thirds{});
    Embedding<Cpu> layer(tables, options);
    const std::vector<Key> ids{4};
    const LayerOutput<Cpu> output = layer(stream, {ids, {1}, {}});
    EXPECT_EQ(output.numbers<double>()[1], 1.0 / 3);
  });
}

TEST(OwnRulesOfDoubles, OfFloatsAloneAreRefused) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = doubles();
    options.optimizer = own_optimizer(Doubling{});
    EXPECT_EQ(
        message_of([&] { Embedding<Cpu> layer(tables, options); }),
        "table items: expected an optimizer of the program whose update takes T* for doubles, "
        "too, or value_dtype float32: found doubling of floats and value_dtype float64");
    options = doubles();
    options.initializer = own_initializer(KeyedRow{});
    EXPECT_EQ(message_of([&] { Embedding<Cpu> layer(tables, options); }),
              "table items: expected an initializer of the program whose fill takes T* for "
              "doubles, too, or value_dtype float32: found keyed_row of floats and value_dtype "
              "float64");
    options.initializer = own_initializer(Tenths{});
    options.value_dtype = "int32";
    options.trainable = false;
    EXPECT_NE(message_of([&] {
                Embedding<Cpu> layer(tables, options);
              }).find("expected an initializer that is built in for rows of integers"),
              std::string::npos);
  });
}

/// A third of the last row of a bag minus the first one.
struct LastThird {
  template <class T>
  void forward(const BagRowsOf<T>& rows, T* out) const {
    for (std::int64_t d = 0; d < rows.dim; ++d) {
      out[d] = rows[rows.size() - 1][d] / 3 - rows[0][d];
    }
  }

  template <class T>
  void backward(const BagRowsOf<T>& rows, const T* gradient,
                const BagGradientsOf<T>& gradients) const {
    for (std::int64_t d = 0; d < rows.dim; ++d) {
      gradients[rows.size() - 1][d] += gradient[d] / 3;
      gradients[0][d] -= gradient[d];
    }
  }
};

/// The output of rank 0 for ids of this shape, of which the other ranks have none, and all rows
/// after a step of rate 1 with a gradient of 0.7.
std::pair<Doubles, std::map<Key, Doubles>> pooled_by_own(const std::vector<Key>& ids,
                                                         const std::vector<std::int64_t>& shape,
                                                         int ranks) {
  Doubles output;
  std::map<Key, Doubles> rows;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = doubles();
    options.initializer = own_initializer(Tenths{});
    options.combiner = own_combiner(LastThird{});
    SquashedEmbedding<Cpu> layer(tables, options);
    const bool mine = communicator.rank() == 0;
    std::vector<std::int64_t> none = shape;
    none[0] = 0;
    const LayerOutput<Cpu> y =
        layer(stream, mine ? IdsView{ids, shape, {}} : IdsView{{}, none, {}});
    const Span<const double> numbers = y.numbers<double>();
    layer.backward(stream, y, Doubles(static_cast<std::size_t>(numbers.size()), 0.7).data());
    tables.apply(stream, {});
    const LayerWeights part = layer.get_weights();
    const std::vector<Key> keys = communicator.gather_joined(Span<const Key>(part.keys));
    const Doubles values = communicator.gather_joined(Span<const double>(part.doubles));
    for (std::size_t i = 0; mine && i < keys.size(); ++i) {
      rows[keys[i]] = {values[2 * i], values[2 * i + 1]};
    }
    if (mine) {
      output.assign(numbers.begin(), numbers.end());
    }
  });
  return {output, rows};
}

TEST(OwnRulesOfDoubles, PoolBagsInDoubleOnAnyNumberOfRanks) {
  for (const int ranks : {1, 2, 3}) {
    // Bags (1, 2) and (3, 1): key 1 is the first of one and the last of the other.
    const auto [output, rows] = pooled_by_own({1, 2, 3, 1}, {2, 2}, ranks);
    for (std::size_t d = 0; d < 2; ++d) {
      EXPECT_EQ(output[d], tenths(2, d) / 3 - tenths(1, d)) << ranks;
      EXPECT_EQ(output[2 + d], tenths(1, d) / 3 - tenths(3, d)) << ranks;
      EXPECT_EQ(rows.at(1)[d], tenths(1, d) - (-0.7 + 0.7 / 3)) << ranks;
      EXPECT_EQ(rows.at(2)[d], tenths(2, d) - 0.7 / 3) << ranks;
      EXPECT_EQ(rows.at(3)[d], tenths(3, d) + 0.7) << ranks;
    }
  }
}

TEST(OwnRulesOfDoubles, ReduceFurtherAxesInDouble) {
  // [1, 2, 2]: axis 1 goes first, so the bags are (1, 3) and (2, 4), and then these two.
  const auto [output, rows] = pooled_by_own({1, 2, 3, 4}, {1, 2, 2}, 2);
  for (std::size_t d = 0; d < 2; ++d) {
    const double first = tenths(3, d) / 3 - tenths(1, d), last = tenths(4, d) / 3 - tenths(2, d);
    EXPECT_EQ(output[d], last / 3 - first);
    EXPECT_EQ(rows.at(1)[d], tenths(1, d) - 0.7);
    EXPECT_EQ(rows.at(3)[d], tenths(3, d) + 0.7 / 3);
    EXPECT_EQ(rows.at(2)[d], tenths(2, d) + 0.7 / 3);
    EXPECT_EQ(rows.at(4)[d], tenths(4, d) - 0.7 / 3 / 3);
  }
}

TEST(OwnRulesOfDoubles, CombinersOfFloatsAloneAreRefused) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = doubles();
    options.combiner = own_combiner(LastMinusFirst{});
    try {
      SquashedEmbedding<Cpu> layer(tables, options);
      ADD_FAILURE() << "expected a refusal";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::not_built);
      EXPECT_NE(error.text().find("combiner last_minus_first of the program: expected one that is "
                                  "built in, or in a layer one without a state whose functions are "
                                  "templates over BagRowsOf<T>"),
                std::string::npos)
          << error.text();
    }
  });
}

}  // namespace
}  // namespace keyshard::testing
