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

  std::int64_t size() const { return static_cast<std::int64_t>(offsets.size()) - 1; }

  LookupInput input(Span<const std::int64_t> slice_offsets) const {
    return {.bags = {ids, offsets},
            .samples = size(),
            .slices = 1,
            .run = {0, 1},
            .slice_offsets = slice_offsets,
            .weights = weights};
  }
};

/// The pooled bags, and the gradient of each row.
struct WeightedRun {
  std::vector<float> pooled;
  std::vector<float> gradient;

  explicit WeightedRun(const GoldenValue& value) {
    run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      look_up(value, communicator, stream);
    });
  }

  void look_up(const GoldenValue& value, Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const GoldenTensor& rows = value["table"].tensor();
    const std::int64_t dim = rows.shape[1];
    TableOptions options;
    options.name = "table";
    options.groups = {{"values", dim, Constant{0}, {}, Sgd{1}, {}}};
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(options);
    std::vector<Key> keys;
    for (std::int64_t key = 0; key < rows.shape[0]; ++key) {
      keys.push_back(static_cast<Key>(key));
    }
    table.assign(stream, keys, rows.floats().data());
    Lookup<Cpu> lookup(communicator, {&table},
                       {{"bag", 0, {combiner_of(value["combiner"].text())}, true}});
    const WeightedBags bags(value);
    const std::int64_t slice_offsets[] = {0, bags.size()};
    pooled.resize(static_cast<std::size_t>(bags.size() * dim));
    const MatrixView<float> out{pooled.data(), bags.size(), dim, dim};
    const auto trace = lookup.forward(stream, bags.input(slice_offsets), true, {},
                                      Span<const MatrixView<float>>(&out, 1));
    const std::vector<float> upstream = value["upstream"].tensor().floats();
    const MatrixView<const float> g{upstream.data(), bags.size(), dim, dim};
    lookup.backward(stream, trace, Span<const MatrixView<const float>>(&g, 1));
    step_from_zero(stream, tables, keys);
  }

  /// SGD with rate 1 on rows that are zero: what they become is the gradient, negated.
  void step_from_zero(Stream<Cpu>& stream, TableSet<Cpu>& tables, const std::vector<Key>& keys) {
    Table<Cpu>& table = *tables.tables().front();
    gradient.resize(keys.size() * static_cast<std::size_t>(table.layout().dim));
    table.assign(stream, keys, gradient.data());
    tables.apply(stream, {});
    std::vector<RowId> found(keys.size());
    table.find(stream, keys, found.data());
    table.read(stream, keys, found.data(), true, gradient.data());
    for (float& number : gradient) {
      number = -number;
    }
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
