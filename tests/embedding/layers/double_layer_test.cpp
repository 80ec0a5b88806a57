// Layers with rows of doubles: numbers that no float has, combiners and their gradients against
// differences, optimizers against their formulas in double, the same bits on any number of ranks.
#include <cmath>
#include <cstring>
#include <functional>
#include <map>

#include <gtest/gtest.h>

#include "embedding/layers/field_wise_embedding.hpp"
#include "tests/embedding/layers/layer_on_ranks.hpp"
#include "tests/support/lanes.hpp"

namespace keyshard::testing {
namespace {

using Doubles = std::vector<double>;

LayerOptions doubles(const std::string& combiner = "sum") {
  LayerOptions options = items();
  options.value_dtype = "float64";
  options.combiner = combiner;
  options.pool_order = PoolOrder::shard;
  return options;
}

/// A number in [0.5, 1.5) that no float has.
double number(std::uint64_t i) {
  return 0.5 + static_cast<double>((i * 0x9E3779B97F4A7C15u) >> 11) * 0x1p-53;
}

LayerWeights rows_of(std::int64_t keys, std::int64_t dim, bool gives) {
  LayerWeights weights{"float64", dim};
  for (std::int64_t k = 0; gives && k < keys; ++k) {
    weights.keys.push_back(static_cast<Key>(k));
    for (std::int64_t d = 0; d < dim; ++d) {
      weights.doubles.push_back(number(static_cast<std::uint64_t>(1 + k * dim + d)));
    }
  }
  return weights;
}

Doubles numbers_of(const LayerOutput<Cpu>& output) {
  const Span<const double> numbers = output.numbers<double>();
  return {numbers.begin(), numbers.end()};
}

TEST(Doubles, GoThroughWeightsAndLookupsWithoutARounding) {
  for (const int ranks : {1, 2, 3, 4, 8}) {
    run_ranks(ranks, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      LayerOptions options = doubles();
      options.embedding_size = 3;
      options.initializer = Constant{0.1};
      Embedding<Cpu> layer(tables, options);
      layer.build({1});
      layer.set_weights(stream, rows_of(50, 3, communicator.rank() == 0));
      const std::vector<Key> ids{49, 7, 1000, 7};
      const LayerOutput<Cpu> output = layer(stream, {ids, {2, 2}, {}});
      EXPECT_EQ(output.dtype, ValueDtype::float64);
      EXPECT_EQ(output.shape, (std::vector<std::int64_t>{2, 2, 3}));
      const Doubles found = numbers_of(output);
      for (std::size_t i = 0; i < ids.size(); ++i) {
        for (std::size_t d = 0; d < 3; ++d) {
          EXPECT_EQ(found[3 * i + d], ids[i] == 1000 ? 0.1 : number(1 + ids[i] * 3 + d));
        }
      }
      EXPECT_THROW(output.numbers<float>(), Error);
      const LayerWeights mine = layer.get_weights();
      EXPECT_TRUE(mine.values.empty());
      for (std::size_t i = 0; i < mine.keys.size(); ++i) {
        EXPECT_EQ(mine.doubles[3 * i + 2], number(1 + mine.keys[i] * 3 + 2));
      }
    });
  }
}

TEST(Doubles, BeginWithTheNumbersOfTheirRuleInDouble) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = doubles();
    options.seed = 5;
    options.initializer = Uniform{-0.1, 0.3};
    Embedding<Cpu> layer(tables, options);
    const std::vector<Key> ids{17};
    const Doubles found = numbers_of(layer(stream, {ids, {1}, {}}));
    const Random4 words = philox(hash_of(std::uint64_t{5}, 0), 17, 0);
    for (std::size_t d = 0; d < 2; ++d) {
      EXPECT_EQ(found[d], -0.1 + (0.3 - -0.1) * static_cast<double>(unit_float(words.word[d])));
    }
  });
}

/// Eight samples, each a slice, of bags of three ids that repeat, and of which a rank has its run.
struct Bags8 {
  static constexpr std::int64_t kSamples = 8, kKeys = 9;
  std::vector<Key> ids;
  SliceLayout slices;
  std::int64_t inner;

  Bags8(const Communicator<Cpu>& communicator, std::int64_t lists)
      : slices{kSamples, run_of(communicator.rank(), communicator.size(), kSamples), {0}},
        inner(lists) {
    for (std::int64_t s = slices.run.begin; s < slices.run.end; ++s) {
      for (std::int64_t i = 0; i < 3 * lists; ++i) {
        ids.push_back(static_cast<Key>((5 * s + i * i + i) % kKeys));
      }
      slices.offsets.push_back(slices.offsets.back() + 1);
    }
  }

  IdsView view() const {
    const std::int64_t samples = slices.run.size();
    return inner == 1 ? IdsView{ids, {samples, 3}, {}} : IdsView{ids, {samples, inner, 3}, {}};
  }
};

/// What the loss of a program weighs output i of sample s with.
double upstream_of(std::int64_t sample, std::int64_t d) {
  return number(static_cast<std::uint64_t>(900 + 2 * sample + d)) - 1;
}

/// The loss of rows, and the upstream gradients of a rank, by one rank alone.
double loss_of(const std::string& combiner, std::int64_t lists, const Doubles& rows) {
  double loss = 0;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, doubles(combiner));
    layer.build({1, 1});
    LayerWeights weights = rows_of(Bags8::kKeys, 2, true);
    weights.doubles = rows;
    layer.set_weights(stream, weights);
    const Bags8 bags(communicator, lists);
    const Doubles y =
        numbers_of(layer(stream, bags.view(), {.training = false, .slices = &bags.slices}));
    for (std::int64_t s = 0; s < Bags8::kSamples; ++s) {
      for (std::int64_t d = 0; d < 2; ++d) {
        loss += upstream_of(s, d) * y[static_cast<std::size_t>(2 * s + d)];
      }
    }
  });
  return loss;
}

/// The gradients of all keys, as a step of SGD of rate 1 shows them, on so many ranks.
Doubles gradients_of(const std::string& combiner, std::int64_t lists, int ranks) {
  Doubles gradients(2 * Bags8::kKeys);
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, doubles(combiner));
    layer.build({1, 1});
    layer.set_weights(stream, rows_of(Bags8::kKeys, 2, communicator.rank() == 0));
    const Bags8 bags(communicator, lists);
    const LayerOutput<Cpu> y = layer(stream, bags.view(), {.slices = &bags.slices});
    Doubles upstream;
    for (std::int64_t s = bags.slices.run.begin; s < bags.slices.run.end; ++s) {
      upstream.insert(upstream.end(), {upstream_of(s, 0), upstream_of(s, 1)});
    }
    layer.backward(stream, y, upstream.data());
    tables.apply(stream, {});
    const LayerWeights mine = layer.get_weights();
    const std::vector<Key> keys = communicator.gather_joined(Span<const Key>(mine.keys));
    const Doubles values = communicator.gather_joined(Span<const double>(mine.doubles));
    for (std::size_t i = 0; communicator.rank() == 0 && i < keys.size(); ++i) {
      for (std::size_t d = 0; d < 2; ++d) {
        gradients[2 * keys[i] + d] = number(1 + keys[i] * 2 + d) - values[2 * i + d];
      }
    }
  });
  return gradients;
}

TEST(Doubles, HaveTheGradientsOfTheirCombinersOnAnyRanks) {
  for (const std::string& combiner : combiner_names()) {
    for (const std::int64_t lists : {1, 2}) {
      const Doubles rows = rows_of(Bags8::kKeys, 2, true).doubles;
      const Doubles expected = gradients_of(combiner, lists, 1);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        constexpr double kStep = 1e-5;
        Doubles above = rows, below = rows;
        above[i] += kStep;
        below[i] -= kStep;
        const double slope =
            (loss_of(combiner, lists, above) - loss_of(combiner, lists, below)) / (2 * kStep);
        // Of differences of fourth order in the step; far below what floats would leave (1e-7).
        EXPECT_NEAR(expected[i], slope, 3e-9 * (1 + std::abs(slope))) << combiner << " " << lists;
      }
      for (const int ranks : {2, 3, 4, 8}) {
        EXPECT_EQ(gradients_of(combiner, lists, ranks), expected) << combiner << ", " << ranks;
      }
    }
  }
}

/// The rows of four keys after three steps with gradients of two calls each.
std::map<Key, Doubles> stepped(const Optimizer& optimizer, int ranks,
                               const std::function<void(LayerOptions&)>& change = {}) {
  std::map<Key, Doubles> rows;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = doubles();
    options.initializer = Constant{0.1};
    options.optimizer = optimizer;
    if (change) {
      change(options);
    }
    Embedding<Cpu> layer(tables, options);
    for (std::int64_t step = 0; step < 3; ++step) {
      for (std::int64_t call = 0; call < 2; ++call) {
        SliceLayout slices{4, run_of(communicator.rank(), ranks, 4), {0}};
        std::vector<Key> ids;
        Doubles upstream;
        for (std::int64_t s = slices.run.begin; s < slices.run.end; ++s) {
          ids.push_back(static_cast<Key>(s));
          slices.offsets.push_back(slices.offsets.back() + 1);
          upstream.insert(upstream.end(), {number(static_cast<std::uint64_t>(8 * step + 2 * s)),
                                           -number(static_cast<std::uint64_t>(100 * call + s))});
        }
        const LayerOutput<Cpu> y = layer(stream, {ids, {std::ssize(ids)}, {}}, {.slices = &slices});
        layer.backward(stream, y, upstream.data());
      }
      tables.apply(stream, {});
    }
    const LayerWeights mine = layer.get_weights();
    const std::vector<Key> keys = communicator.gather_joined(Span<const Key>(mine.keys));
    const Doubles values = communicator.gather_joined(Span<const double>(mine.doubles));
    for (std::size_t i = 0; communicator.rank() == 0 && i < keys.size(); ++i) {
      rows[keys[i]] = {values[2 * i], values[2 * i + 1]};
    }
  });
  return rows;
}

/// The gradient of column d of key s in a step: two calls.
double gradient_of(std::uint64_t step, std::uint64_t s, std::size_t d) {
  return d == 0 ? number(8 * step + 2 * s) + number(8 * step + 2 * s)
                : -number(s) - number(100 + s);
}

TEST(Doubles, StepByTheFormulasOfTheirOptimizers) {
  const auto sgd = stepped(Sgd{0.1}, 1);
  const auto adagrad = stepped(Adagrad{0.1, 0.3, 1e-7, false}, 1);
  const auto adam = stepped(Adam{0.01, 0.9, 0.999, 1e-7}, 1);
  for (std::uint64_t s = 0; s < 4; ++s) {
    for (std::size_t d = 0; d < 2; ++d) {
      double plain = 0.1, scaled = 0.1, h = 0.3, moved = 0.1, m = 0, v = 0;
      double beta_1 = 1, beta_2 = 1;
      for (std::uint64_t step = 0; step < 3; ++step) {
        const double g = gradient_of(step, s, d);
        plain = plain - 0.1 * g;
        h = h + g * g;
        scaled = scaled - 0.1 * g / std::sqrt(h + 1e-7);
        m = m + (1.0 - 0.9) * (g - m);
        v = v + (1.0 - 0.999) * (g * g - v);
        beta_1 *= 0.9;
        beta_2 *= 0.999;
        const double alpha = 0.01 * (std::sqrt(1.0 - beta_2) / (1.0 - beta_1));
        moved = moved - alpha * m / (std::sqrt(v) + 1e-7);
      }
      EXPECT_EQ(sgd.at(s)[d], plain);
      EXPECT_EQ(adagrad.at(s)[d], scaled);
      EXPECT_EQ(adam.at(s)[d], moved);
    }
  }
}

TEST(Doubles, AreSteppedByEveryOptimizerAlikeOnAnyRanksAndCloseToFloats) {
  for_alternatives<BuiltInOptimizer>([](auto rule) {
    const auto expected = stepped(rule, 1);
    for (const int ranks : {2, 3, 4, 8}) {
      EXPECT_EQ(stepped(rule, ranks), expected) << rule.kName << ", " << ranks;
    }
    ASSERT_EQ(expected.size(), 4u);
    for (const auto& [key, row] : expected) {
      EXPECT_NE(row[0], static_cast<double>(static_cast<float>(row[0]))) << rule.kName;
    }
  });
}

TEST(Doubles, AreClippedRegularizedAndDecayed) {
  const auto rows = stepped(Sgd{0.1}, 2, [](LayerOptions& o) {
    o.regularization.clip_value = 0.7;
    o.regularization.l2 = 0.3;
    o.regularization.weight_decay = 0.01;
  });
  for (std::uint64_t s = 0; s < 4; ++s) {
    double w = 0.1;
    for (std::uint64_t step = 0; step < 3; ++step) {
      const double g = std::min(gradient_of(step, s, 0), 0.7) + 0.3 * w;
      w = w - 0.1 * 0.01 * w;
      w = w - 0.1 * g;
    }
    EXPECT_NEAR(rows.at(s)[0], w, 1e-16);
  }
  for (const auto& [key, row] : stepped(Sgd{0.1}, 2, [](LayerOptions& o) { o.max_norm = 0.2; })) {
    EXPECT_NEAR(std::hypot(row[0], row[1]), 0.2, 1e-15) << key;
  }
}

TEST(Doubles, ThatAreNotFiniteAreRefusedWithTheirKey) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Embedding<Cpu> layer(tables, doubles());
    const std::vector<Key> ids{4, 6};
    const LayerOutput<Cpu> y = layer(stream, {ids, {2}, {}});
    layer.backward(stream, y, Doubles{1e300, 1, 2, HUGE_VAL}.data());
    try {
      tables.apply(stream, {});
      ADD_FAILURE() << "expected a refusal";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::non_finite);
      EXPECT_NE(error.text().find("inf for key 6"), std::string::npos) << error.text();
    }
    EXPECT_EQ(layer.table().size(), 0);
  });
}

TEST(Doubles, OfWeightedBagsDivideByWeightsAddedInDouble) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = doubles("mean");
    options.pool_order = PoolOrder::bag;
    SquashedEmbedding<Cpu> layer(tables, options);
    layer.build({1, 1});
    layer.set_weights(stream, rows_of(4, 2, communicator.rank() == 0));
    const std::vector<Key> ids{1, 2, 3};
    const std::vector<float> weights{0.3f, 0.7f, 1e-6f};
    const auto w = [&](std::size_t i) { return static_cast<double>(weights[i]); };
    const Doubles y = numbers_of(layer(stream, {ids, {1, 3}, {}}, {.weights = weights}));
    for (std::size_t d = 0; d < 2; ++d) {
      const auto x = [&](std::size_t k) { return number(1 + k * 2 + d); };
      EXPECT_EQ(y[d], (x(1) * w(0) + x(2) * w(1) + x(3) * w(2)) / (w(0) + w(1) + w(2)));
    }
  });
}

TEST(Doubles, OfEmptyBagsAreZerosOrTheLimitsOfDouble) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    for (const std::string form : {"zeros", "tf"}) {
      TableSet<Cpu> tables(communicator);
      LayerOptions options = doubles("min");
      options.empty_bag = form;
      SquashedEmbedding<Cpu> layer(tables, options);
      const std::vector<Key> ids{1};
      const std::vector<std::int64_t> offsets{0, 1, 1};
      const Doubles y = numbers_of(layer(stream, {ids, {}, offsets}));
      EXPECT_EQ(y[2], form == "tf" ? std::numeric_limits<double>::max() : 0.0);
    }
  });
}

TEST(Doubles, RefuseWhatIsOfFloatsOrNotBuilt) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Embedding<Cpu> layer(tables, doubles());
    const std::vector<Key> ids{1};
    const LayerOutput<Cpu> y = layer(stream, {ids, {1}, {}});
    EXPECT_NE(message_of([&] {
                layer.backward(stream, y, std::vector<float>{1, 1}.data());
              }).find("of float64 as doubles: found floats"),
              std::string::npos);
    EXPECT_NE(message_of([&] {
                layer.set_weights(stream, LayerWeights{"float64", 2, {1}, {0.5f, 1}});
              }).find("found embedding_size 2 and 0 values"),
              std::string::npos);
    LayerOptions reduced = doubles();
    reduced.name = "reduced";
    reduced.exchange = ExchangeMode::reduced;
    try {
      Embedding<Cpu> other(tables, reduced);
      ADD_FAILURE() << "expected a refusal";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::not_built);
      EXPECT_NE(error.text().find("\"auto\", which then takes rows"), std::string::npos);
    }
  });
}

TEST(Doubles, OfSlotsArePooled) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    const SlotMap<Cpu> by_two =
        slot_map<Cpu>("even", [](Key key) { return std::int64_t(key % 2); });
    FieldWiseEmbedding<Cpu> layer(tables, doubles(), 2, by_two);
    layer.build({1, 1});
    layer.set_weights(stream, rows_of(6, 2, communicator.rank() == 0));
    const std::vector<Key> ids{0, 2, 5};
    const Doubles y = numbers_of(layer(stream, {ids, {1, 3}, {}}));
    for (std::size_t d = 0; d < 2; ++d) {
      EXPECT_EQ(y[d], number(1 + d) + number(5 + d));
      EXPECT_EQ(y[2 + d], number(11 + d));
    }
  });
}

}  // namespace
}  // namespace keyshard::testing
