// combiners.json: value and gradient of one bag, by a SquashedEmbedding whose table holds the rows.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/error.hpp"
#include "tests/golden/layer_run.hpp"
#include "tests/golden/sections.hpp"

namespace keyshard::testing {
namespace {

constexpr double kFlushed = 4 * 0x1p-126;  // subnormal numbers may be zero

/// Half the relative tolerances: of a value, relative to sum |x| (of a product: to |value|), and of
/// a gradient, relative to |gradient|.
struct Tolerance {
  double value;
  double gradient;
};

Tolerance tolerance_of(const std::string& combiner, std::int64_t rows) {
  const double n = static_cast<double>(rows);
  if (combiner == "sum") {
    return {n * kUnit, 0};
  }
  if (combiner == "mean") {
    return {(n + 1) * kUnit / n, 2 * kUnit};
  }
  if (combiner == "sqrtn") {
    return {(n + 2) * kUnit / std::sqrt(n), 3 * kUnit};
  }
  if (combiner == "prod") {
    return {n * kUnit, (n + 1) * kUnit};
  }
  require(combiner == "min" || combiner == "max", Kind::not_built,
          "expected a combiner whose tolerance is known: found {}", combiner);
  return {0, 2 * kUnit};
}

/// The sum of |x| in each column.
Numbers absolute_sums(const GoldenTensor& rows) {
  const std::size_t dim = static_cast<std::size_t>(rows.shape.at(1));
  Numbers sums(dim, 0);
  for (std::size_t i = 0; i < rows.reals.size(); ++i) {
    sums[i % dim] += std::fabs(rows.reals[i]);
  }
  return sums;
}

Numbers bounds_of(const Numbers& scale, double share) {
  Numbers bounds;
  for (const double s : scale) {
    bounds.push_back(2 * share * std::fabs(s) + kFlushed);
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
  const Tolerance tolerance = tolerance_of(combiner, rows.shape[0]);
  one.near("value", found.output, output,
           bounds_of(combiner == "prod" ? output : absolute_sums(rows), tolerance.value));
  one.near("gradient", found.gradients, gradient, bounds_of(gradient, tolerance.gradient));
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
