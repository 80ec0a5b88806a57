// max_norm.json: rows that are clipped at the read and at the write, in training and inference, and
// the gradient of a row at the limit; on 1 and 3 ranks.
#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include <fmt/format.h>

#include "tests/golden/layer_run.hpp"
#include "tests/golden/sections.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

LayerOptions options_of(const GoldenValue& value, std::int64_t dim, float missing, float rate) {
  LayerOptions options;
  options.name = "golden";
  options.embedding_size = dim;
  options.initializer = Constant{missing};
  options.max_norm = value["max_norm"].number();
  // Equal to SGD, and its state is the step: minus the gradient where the rate is 1.
  options.optimizer = Momentum{rate, 0.0f, false};
  return options;
}

/// The ids of this rank: rank 0 has all of them.
struct RankIds {
  std::vector<Key> ids;
  std::vector<std::int64_t> shape;

  RankIds(const Communicator<Cpu>& communicator, const GoldenTensor& all)
      : ids(keys_of(all)), shape(all.shape) {
    if (communicator.rank() != 0) {
      ids.clear();
      shape[0] = 0;
    }
  }
};

struct ReadResult {
  std::vector<float> output, inference, gradient;
};

ReadResult read_rows(const GoldenValue& value, int ranks) {
  const GoldenTensor& rows = value["rows"].tensor();
  GoldenTensor ids;
  ids.shape = {rows.shape.at(0)};
  for (std::int64_t i = 0; i < rows.shape.at(0); ++i) {
    ids.integers.push_back(i);
  }
  const GoldenTable table{keys_of(ids), rows.floats(), rows.shape.at(1)};
  ReadResult result{{}, {}, std::vector<float>(table.rows.size())};
  std::mutex mutex;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Embedding<Cpu> layer(tables, options_of(value, table.dim, 0, 1));
    assign(stream, layer.table(), table);
    const RankIds mine(communicator, ids);
    const IdsView view{mine.ids, mine.shape, {}};
    const LayerOutput<Cpu> inference = layer.forward(stream, view, false);
    const LayerOutput<Cpu> output = layer.forward(stream, view);
    layer.backward(stream, output, value["upstream"].tensor().floats().data());
    tables.apply(stream, UpdateContext{});
    const std::lock_guard lock(mutex);
    copy_rows(stream, layer.table(), table.keys, "state/values/m", result.gradient);
    if (communicator.rank() == 0) {
      const std::int64_t n = output.values.size();
      result.output.assign(output.values.data(), output.values.data() + n);
      result.inference.assign(inference.values.data(), inference.values.data() + n);
    }
  });
  for (float& gradient : result.gradient) {
    gradient = -gradient;
  }
  return result;
}

void check_reads(const GoldenValue& value, int ranks, GoldenCase& one) {
  const ReadResult found = read_rows(value, ranks);
  const Numbers& output = value["output64"].tensor().reals;
  const std::int64_t dim = value["rows"].tensor().shape.at(1);
  const Numbers bounds(output.size(),
                       static_cast<double>(dim + 6) * kUnit * value["max_norm"].number());
  one.near("output", found.output, output, bounds);
  one.near("output in inference", found.inference, output, bounds);
  double largest = 0;
  for (const double g : value["upstream"].tensor().reals) {
    largest = std::max(largest, std::abs(g));
  }
  const Numbers& gradient = value["gradient64"].tensor().reals;
  one.near("gradient", found.gradient, gradient, Numbers(gradient.size(), 32 * kUnit * largest));
}

template <class Layer>
void check_training(const GoldenValue& value, int ranks, GoldenCase& one) {
  const GoldenTable start = table_of(value["table"]["keys"], value["table"]["rows"]);
  const GoldenValue::List& steps = value["steps"].list();
  std::vector<std::vector<float>> stored;
  for (const GoldenValue& step : steps) {
    stored.emplace_back(step["stored64"].tensor().reals.size(),
                        std::numeric_limits<float>::quiet_NaN());
  }
  std::mutex mutex;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Layer layer(tables, options_of(value, start.dim, static_cast<float>(value["missing"].number()),
                                   static_cast<float>(value["lr"].number())));
    assign(stream, layer.table(), start);
    for (std::size_t t = 0; t < steps.size(); ++t) {
      const RankIds mine(communicator, steps[t]["ids"].tensor());
      const LayerOutput<Cpu> output = layer.forward(stream, IdsView{mine.ids, mine.shape, {}});
      layer.backward(stream, output, steps[t]["upstream"].tensor().floats().data());
      tables.apply(stream, UpdateContext{});
      const std::lock_guard lock(mutex);
      copy_rows(stream, layer.table(), keys_of(steps[t]["keys"].tensor()), "values/values",
                stored[t]);
    }
  });
  for (std::size_t t = 0; t < steps.size(); ++t) {
    const Numbers& expected = steps[t]["stored64"].tensor().reals;
    const double bound =
        64 * static_cast<double>(t + 1) * kUnit * std::max(1.0, value["max_norm"].number());
    one.near(fmt::format("step {} stored", t + 1), stored[t], expected,
             Numbers(expected.size(), bound));
  }
}

}  // namespace

void run_max_norm_reads(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["reads"].list()) {
    for (const int ranks : {1, 3}) {
      report.run("max_norm: reads",
                 fmt::format("max_norm {} on {} ranks", value["max_norm"].number(), ranks),
                 [&](GoldenCase& one) { check_reads(value, ranks, one); });
    }
  }
}

void run_max_norm_training(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["training"].list()) {
    const std::string& layer = value["layer"].text();
    for (const int ranks : {1, 3}) {
      report.run("max_norm: training", fmt::format("{} on {} ranks", layer, ranks),
                 [&](GoldenCase& one) {
                   layer == "Embedding" ? check_training<Embedding<Cpu>>(value, ranks, one)
                                        : check_training<SquashedEmbedding<Cpu>>(value, ranks, one);
                 });
    }
  }
}

}  // namespace keyshard::testing
