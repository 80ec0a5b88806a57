// combiners.json: value and gradient of one bag, by a SquashedEmbedding whose table holds the rows.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <string>

#include "runtime/error.hpp"
#include "tests/golden/doubles.hpp"
#include "tests/golden/layer_run.hpp"
#include "tests/golden/sections.hpp"

namespace keyshard::testing {
namespace {

constexpr double kFlushed = 4 * 0x1p-126;  // subnormal numbers may be zero

/// One column of a bag: what the tolerances of the README are made of. Those here are half of them.
struct Column {
  Numbers rows;
  double upstream;
  double value;  ///< of the reference

  double n() const { return static_cast<double>(rows.size()); }

  double sum(const std::function<double(double)>& term) const {
    return std::accumulate(rows.begin(), rows.end(), 0.0,
                           [&](double sum, double x) { return sum + term(x); });
  }

  double mean() const {
    return sum([](double x) { return x; }) / n();
  }

  double absolute_sum() const {
    return sum([](double x) { return std::fabs(x); });
  }

  double largest() const {
    return std::accumulate(rows.begin(), rows.end(), 0.0,
                           [](double most, double x) { return std::max(most, std::fabs(x)); });
  }

  double variance() const {
    const double centre = mean();
    return sum([&](double x) { return (x - centre) * (x - centre); }) / n();
  }

  double mean_error() const { return (n() + 1) * kUnit * absolute_sum() / n(); }

  double variance_error() const {
    return (n() + 6) * kUnit * variance() + 2 * mean_error() * mean_error();
  }

  double std_error() const {
    const double error = variance_error(), spread = std::sqrt(variance());
    return (spread > 0 ? std::min(std::sqrt(error), error / spread) : std::sqrt(error)) +
           2 * kUnit * spread;
  }

  /// Of the gradient of row x, whose reference is `d`.
  double variance_gradient_error(double x, double /*d*/) const {
    return 2 * std::fabs(upstream) / n() *
           (mean_error() + kUnit * std::fabs(x) + 3 * kUnit * std::fabs(x - mean()));
  }

  double std_gradient_error(double x, double d) const {
    const double spread = std::sqrt(variance());
    return spread == 0 ? 0
                       : std::fabs(upstream) / (n() * spread) *
                                 (mean_error() + 4 * kUnit * std::fabs(x - mean())) +
                             d * (std_error() / spread + 4 * kUnit);
  }
};

/// Half the tolerances of one combiner: of the value, and of the gradient `d` >= 0 of row x.
struct Tolerance {
  std::function<double(const Column&)> value;
  std::function<double(const Column&, double x, double d)> gradient;
};

/// A gradient that errs by (n * share + units) u of itself.
auto relative(double share, double units) {
  return [=](const Column& c, double, double d) { return (c.n() * share + units) * kUnit * d; };
}

const std::map<std::string, Tolerance>& tolerances() {
  static const std::map<std::string, Tolerance> all{
      {"sum", {[](const Column& c) { return c.n() * kUnit * c.absolute_sum(); }, relative(0, 0)}},
      {"mean", {&Column::mean_error, relative(0, 2)}},
      {"sqrtn",
       {[](const Column& c) { return (c.n() + 2) * kUnit * c.absolute_sum() / std::sqrt(c.n()); },
        relative(0, 3)}},
      {"min", {[](const Column&) { return 0.0; }, relative(0, 2)}},
      {"max", {[](const Column&) { return 0.0; }, relative(0, 2)}},
      {"prod",
       {[](const Column& c) { return c.n() * kUnit * std::fabs(c.value); }, relative(1, 1)}},
      {"variance", {&Column::variance_error, &Column::variance_gradient_error}},
      {"std", {&Column::std_error, &Column::std_gradient_error}},
      {"logsumexp",
       {[](const Column& c) { return (c.n() + 6 + 2 * std::fabs(c.value) + c.largest()) * kUnit; },
        [](const Column& c, double x, double d) {
          return (2 * std::fabs(x - c.value) + std::fabs(c.value) + c.n() + 10) * kUnit * d;
        }}},
      {"euclidean_norm",
       {[](const Column& c) { return (c.n() / 2 + 2) * kUnit * std::fabs(c.value); },
        relative(0.5, 6)}},
  };
  return all;
}

/// The tolerances of the values [D] and of the gradients [n, D].
struct Bounds {
  Numbers value;
  Numbers gradient;
};

Bounds bounds_of(const std::string& combiner, const GoldenTensor& rows, const Numbers& upstream,
                 const Numbers& output, const Numbers& gradient) {
  const auto found = tolerances().find(combiner);
  require(found != tolerances().end(), Kind::not_built,
          "expected a combiner whose tolerance is known: found {}", combiner);
  const std::size_t dim = output.size();
  Bounds bounds{{}, Numbers(gradient.size())};
  for (std::size_t d = 0; d < dim; ++d) {
    Column column{{}, upstream[d], output[d]};
    for (std::size_t i = d; i < rows.reals.size(); i += dim) {
      column.rows.push_back(rows.reals[i]);
    }
    bounds.value.push_back(2 * found->second.value(column) + kFlushed);
    for (std::size_t i = d; i < gradient.size(); i += dim) {
      bounds.gradient[i] =
          2 * found->second.gradient(column, rows.reals[i], std::fabs(gradient[i])) + kFlushed;
    }
  }
  return bounds;
}

void run_bag(const GoldenValue& value, const GoldenValue& bag, GoldenCase& one) {
  const GoldenTensor& rows = bag["rows"].tensor();
  const std::string& combiner = value["combiner"].text();
  LayerRun run;
  run.combiner = combiner;
  run.ids.resize(static_cast<std::size_t>(rows.shape.at(0)));
  std::iota(run.ids.begin(), run.ids.end(), Key{1});
  run.shape = {rows.shape[0]};
  run.table = {run.ids, rows.floats(), rows.shape.at(1)};
  run.distinct = run.ids;
  run.upstream = bag["upstream"].tensor().floats();
  const LayerResult found = run_layer<SquashedEmbedding<Cpu>>(run);

  const bool differs = value.has("contract");
  const GoldenValue& told = differs ? value["contract"] : value;
  const Numbers& output = told[differs ? "value" : "value64"].tensor().reals;
  const Numbers& gradient = told[differs ? "gradient" : "gradient64"].tensor().reals;
  const Bounds bounds = bounds_of(combiner, rows, bag["upstream"].tensor().reals, output, gradient);
  one.near("value", found.output, output, bounds.value);
  one.near("gradient", found.gradients, gradient, bounds.gradient);
  if (!differs) {
    run_double_bag(value, bag, one);
  }
}

}  // namespace

void run_combiners(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["cases"].list()) {
    const GoldenValue& bag = file["bags"][value["bag"].text()];
    if (!bag["informative"].flag()) {
      report.run("combiners: cases " + value["combiner"].text(), value["bag"].text(),
                 [&](GoldenCase& one) { run_bag(value, bag, one); });
    }
  }
}

}  // namespace keyshard::testing
