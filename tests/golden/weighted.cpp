// combiners.json, "weighted": sums, means and sqrtn of rows times weights, and the gradients of the
// rows. `safe_embedding_lookup_sparse` drops ids whose weight is not positive before it pools (not
// for sum); the runner drops them before it asks. Gradients of weights are not part of the
// contract.
#include <fmt/format.h>

#include "embedding/lookup/lookup.hpp"
#include "embedding/rows/table_set.hpp"
#include "tests/golden/sections.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

/// The bags of a case as a lookup takes them.
struct WeightedBags {
  std::vector<Key> ids;
  std::vector<float> weights;
  std::vector<std::int64_t> offsets{0};

  explicit WeightedBags(const GoldenValue& value) {
    const std::vector<std::int64_t>& values = value["values"].tensor().integers;
    const std::vector<std::int64_t>& given = value["offsets"].tensor().integers;
    const std::vector<float> all = value["weights"].tensor().floats();
    const bool drops = value["function"].text() == "safe_embedding_lookup_sparse" &&
                       value["combiner"].text() != "sum";
    for (std::size_t bag = 0; bag + 1 < given.size(); ++bag) {
      for (auto i = static_cast<std::size_t>(given[bag]);
           i < static_cast<std::size_t>(given[bag + 1]); ++i) {
        if (!drops || all[i] > 0) {
          ids.push_back(static_cast<Key>(values[i]));
          weights.push_back(all[i]);
        }
      }
      offsets.push_back(static_cast<std::int64_t>(ids.size()));
    }
  }
};

/// Looks up and steps with rate 1: the pooled bags, and what each row has lost.
struct WeightedRun {
  std::vector<float> pooled;
  std::vector<float> gradient;

  explicit WeightedRun(const GoldenValue& value) {
    const GoldenTensor& rows = value["table"].tensor();
    const std::int64_t dim = rows.shape[1];
    const std::vector<float> before = rows.floats();
    std::vector<Key> keys;
    for (std::int64_t key = 0; key < rows.shape[0]; ++key) {
      keys.push_back(static_cast<Key>(key));
    }
    WeightedBags bags(value);
    run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableOptions options;
      options.name = "table";
      options.groups = {{"values", dim, Constant{0}, {}, Sgd{1}, {}}};
      TableSet<Cpu> tables(communicator);
      Table<Cpu>& table = tables.create(options);
      table.assign(stream, keys, before.data());
      FeatureOptions feature{"bag", 0, {combiner_of(value["combiner"].text())}};
      feature.weighted = true;
      Lookup<Cpu> lookup(communicator, {&table}, {feature});
      const auto samples = static_cast<std::int64_t>(bags.offsets.size()) - 1;
      const std::int64_t slice_offsets[] = {0, samples};
      pooled.resize(static_cast<std::size_t>(samples * dim));
      const MatrixView<float> out{pooled.data(), samples, dim, dim};
      const auto trace = lookup.forward(stream,
                                        {.bags = {bags.ids, bags.offsets},
                                         .samples = samples,
                                         .slices = 1,
                                         .run = {0, 1},
                                         .slice_offsets = slice_offsets,
                                         .weights = bags.weights},
                                        true, {}, Span<const MatrixView<float>>(&out, 1));
      const std::vector<float> upstream = value["upstream"].tensor().floats();
      const MatrixView<const float> g{upstream.data(), samples, dim, dim};
      lookup.backward(stream, trace, Span<const MatrixView<const float>>(&g, 1));
      // Rows are zero for the step: what they become is the gradient, negated.
      table.assign(stream, keys, std::vector<float>(before.size()).data());
      tables.apply(stream, {});
      std::vector<RowId> found(keys.size());
      gradient.resize(before.size());
      table.find(stream, keys, found.data());
      table.read(stream, keys, found.data(), true, gradient.data());
      for (float& number : gradient) {
        number = -number;
      }
    });
  }
};

/// 8 (n + 4) u max|table| max(1, max|weight|) (1 + max|value64|), n = 3.
double bound_of(const GoldenValue& value) {
  const auto most = [](const std::vector<double>& numbers) {
    double largest = 0;
    for (const double number : numbers) {
      largest = std::max(largest, std::abs(number));
    }
    return largest;
  };
  return 8 * 7 * kUnit * most(value["table"].tensor().reals) *
         std::max(1.0, most(value["weights"].tensor().reals)) *
         (1 + most(value["value64"].tensor().reals));
}

}  // namespace

void run_weighted(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["weighted"].list()) {
    report.run("combiners: weighted",
               fmt::format("{} {} {}", value["function"].text(), value["combiner"].text(),
                           value["weights_set"].text()),
               [&](GoldenCase& one) {
                 const WeightedRun run(value);
                 const double bound = bound_of(value);
                 const Numbers& pooled = value["value64"].tensor().reals;
                 const Numbers& gradient = value["gradient64"].tensor().reals;
                 one.near("value", run.pooled, pooled, Numbers(pooled.size(), bound));
                 one.near("gradient", run.gradient, gradient, Numbers(gradient.size(), bound));
               });
  }
}

}  // namespace keyshard::testing
