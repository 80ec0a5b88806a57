#include "tests/golden/doubles.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "tests/golden/layer_run.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

/// Of numbers of this size.
constexpr double kDigits = 1e-13;

Numbers bounds_of(const Numbers& expected, double scale) {
  Numbers bounds;
  for (const double x : expected) {
    bounds.push_back(scale * kDigits * std::max(1.0, std::fabs(x)));
  }
  return bounds;
}

LayerOptions options_of(std::int64_t dim) {
  LayerOptions options;
  options.name = "golden";
  options.embedding_size = dim;
  options.value_dtype = "float64";
  options.initializer = Constant{};
  options.optimizer = Sgd{1};
  return options;
}

LayerWeights weights_of(const std::vector<Key>& keys, const GoldenTensor& rows) {
  LayerWeights weights{"float64", rows.shape.at(1)};
  weights.keys = keys;
  weights.doubles = rows.reals;
  return weights;
}

/// The rows of these keys.
Numbers rows_of(const LayerWeights& weights, const std::vector<Key>& keys) {
  std::map<Key, std::size_t> places;
  for (std::size_t i = 0; i < weights.keys.size(); ++i) {
    places[weights.keys[i]] = i;
  }
  const auto dim = static_cast<std::size_t>(weights.embedding_size);
  Numbers rows;
  for (const Key key : keys) {
    const double* row = weights.doubles.data() + places.at(key) * dim;
    rows.insert(rows.end(), row, row + dim);
  }
  return rows;
}

}  // namespace

void run_double_bag(const GoldenValue& value, const GoldenValue& bag, GoldenCase& one) {
  const GoldenTensor& rows = bag["rows"].tensor();
  const Numbers& upstream = bag["upstream"].tensor().reals;
  double scale = 10;  // of the largest row: deviations from a mean are as exact as the rows are
  for (const double x : rows.reals) {
    scale = std::max(scale, 10 * std::fabs(x));
  }
  std::vector<Key> ids(static_cast<std::size_t>(rows.shape.at(0)));
  std::iota(ids.begin(), ids.end(), Key{1});
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = options_of(rows.shape.at(1));
    options.combiner = value["combiner"].text();
    SquashedEmbedding<Cpu> layer(tables, options);
    layer.build({rows.shape[0]});
    layer.set_weights(stream, weights_of(ids, rows));
    const LayerOutput<Cpu> output = layer.forward(stream, {ids, {rows.shape[0]}, {}});
    const Span<const double> found = output.numbers<double>();
    const Numbers& expected = value["value64"].tensor().reals;
    one.near("value in double", Numbers(found.begin(), found.end()), expected,
             bounds_of(expected, scale));
    layer.backward(stream, output, upstream.data());
    const RowGradients<Cpu>& gradients = layer.table().gradients().front();
    Numbers by_key(rows.reals.size());
    const auto dim = static_cast<std::size_t>(rows.shape[1]);
    for (std::int64_t i = 0; i < gradients.size; ++i) {
      const double* from = numbers_at<double>(gradients.values) + i * rows.shape[1];
      std::copy_n(from, dim,
                  by_key.begin() + static_cast<std::ptrdiff_t>((gradients.keys[i] - 1) * dim));
    }
    const Numbers& gradient = value["gradient64"].tensor().reals;
    one.near("gradient in double", by_key, gradient, bounds_of(gradient, scale));
  });
}

void run_double_steps(const GoldenValue& file, const GoldenValue& value, const Optimizer& optimizer,
                      std::int64_t first_step, GoldenCase& one) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = options_of(file["table"]["dim"].integer());
    options.initializer = Constant{file["table"]["missing"].number()};
    options.optimizer = optimizer;
    Embedding<Cpu> layer(tables, options);
    layer.build({1});
    layer.set_weights(stream, weights_of(keys_of(file["table"]["keys"].tensor()),
                                         file["table"]["rows"].tensor()));
    while (layer.table().clocks().front().step() + 1 < first_step) {
      layer.table().clocks().front().tick(1);
    }
    const GoldenValue::List& schedule = file["schedule"].list();
    for (std::size_t t = 1; t <= schedule.size(); ++t) {
      const GoldenValue& step = schedule[t - 1];
      const std::vector<Key> ids = keys_of(step["ids"].tensor());
      const LayerOutput<Cpu> output = layer.forward(stream, {ids, step["ids"].tensor().shape, {}});
      layer.backward(stream, output, step["gradients"].tensor().reals.data());
      tables.apply(stream, {});
      const Numbers& expected = value["steps"].list().at(t - 1)["value64"].tensor().reals;
      one.near(fmt::format("step {} value in double", t),
               rows_of(layer.get_weights(), keys_of(step["keys"].tensor())), expected,
               bounds_of(expected, static_cast<double>(t)));
    }
  });
}

}  // namespace keyshard::testing
