// The whole training step of W1 with a network 429-256-128-1, beside its nine products and the
// sparse floor.
#include <fmt/format.h>

#include "launch/bench/floors.hpp"
#include "launch/bench/measures.hpp"
#include "launch/bench/sparse_step.hpp"
#include "launch/training/job_config.hpp"
#include "launch/training/models/gemm.hpp"
#include "launch/training/trainer.hpp"

namespace keyshard {
namespace {

const std::vector<std::int64_t> kHidden{256, 128};

JobConfig model_config(const IdBatches& whole, std::int64_t dim, const Optimizer& optimizer) {
  JobConfig config;
  config.job.batch_size = whole.samples;
  config.model.type = ModelType::mlp;
  config.model.hidden = kHidden;
  TableOptions table;
  table.name = "table";
  table.groups = {{"factor", dim, Constant{}, {}, optimizer, {}}};
  config.embedding.tables = {table};
  for (std::int64_t f = 0; f < whole.features; ++f) {
    config.embedding.features.push_back({fmt::format("feature{}", f), 0, {Sum{}}});
  }
  return config;
}

DataSchema schema_of(const IdBatches& batches, const JobConfig& config) {
  DataSchema schema;
  for (const FeatureOptions& feature : config.embedding.features) {
    schema.features.push_back(feature.name);
  }
  for (std::int64_t d = 0; d < batches.dense_columns; ++d) {
    schema.dense.push_back(fmt::format("dense{}", d));
  }
  return schema;
}

/// A step of this rank as a reader would give it.
Batch batch_of(const IdBatches& own, std::int64_t step, Range slices, std::int64_t first_sample) {
  Batch batch;
  batch.slices = slices;
  for (std::int64_t slice = 0; slice <= slices.size(); ++slice) {
    batch.slice_offsets.push_back(slice * own.samples / slices.size());
  }
  for (std::int64_t b = 0; b < own.samples; ++b) {
    batch.sample_numbers.push_back(first_sample + b);
    batch.records.push_back(step * own.samples + b);
  }
  const auto rows = [&](const std::vector<float>& from, std::int64_t columns) {
    const auto begin = from.begin() + step * own.samples * columns;
    return std::vector<float>(begin, begin + own.samples * columns);
  };
  batch.labels = rows(own.labels, 1);
  batch.dense_columns = own.dense_columns;
  batch.dense = rows(own.dense, own.dense_columns);
  batch.features = own.features;
  const Span<const Key> ids = own.keys_of(step);
  batch.ids.assign(ids.begin(), ids.end());
  const Span<const std::int64_t> offsets = own.offsets_of(step);
  batch.id_offsets.assign(offsets.begin(), offsets.end());
  return batch;
}

/// The products of a step: forward, gradients of weights and of inputs of three layers, each thread
/// on its share of the samples.
class NineProducts {
 public:
  NineProducts(Stream<Cpu>& stream, std::int64_t samples, std::int64_t inputs)
      : stream_(stream), samples_(samples), widths_{inputs, kHidden[0], kHidden[1], 1} {
    for (std::size_t layer = 0; layer < widths_.size(); ++layer) {
      activations_.emplace_back(static_cast<std::size_t>(samples * widths_[layer]), 0.01f);
      gradients_.emplace_back(activations_.back());
    }
    for (std::size_t layer = 0; layer + 1 < widths_.size(); ++layer) {
      const auto size = static_cast<std::size_t>(widths_[layer] * widths_[layer + 1]);
      weights_.emplace_back(size, 0.01f);
      weight_gradients_.emplace_back(size * static_cast<std::size_t>(stream.threads().size()));
    }
  }

  void run() {
    stream_.threads().for_shares(samples_, [&](std::int64_t begin, std::int64_t end, int thread) {
      Serial queue;
      for (std::size_t layer = 0; layer + 1 < widths_.size(); ++layer) {
        multiply(queue, part(activations_, layer, begin, end), weight(layer),
                 part(activations_, layer + 1, begin, end));
      }
      for (std::size_t layer = widths_.size() - 1; layer-- > 0;) {
        MatrixView<float> sum = weight(layer);
        sum.data = weight_gradients_[layer].data() + thread * sum.rows * sum.cols;
        multiply_transposed_left(queue, part(activations_, layer, begin, end),
                                 part(gradients_, layer + 1, begin, end), sum);
        multiply_transposed_right(queue, part(gradients_, layer + 1, begin, end), weight(layer),
                                  part(gradients_, layer, begin, end));
      }
    });
  }

 private:
  MatrixView<float> part(std::vector<std::vector<float>>& all, std::size_t layer,
                         std::int64_t begin, std::int64_t end) const {
    return {all[layer].data() + begin * widths_[layer], end - begin, widths_[layer],
            widths_[layer]};
  }

  MatrixView<float> weight(std::size_t layer) {
    return {weights_[layer].data(), widths_[layer], widths_[layer + 1], widths_[layer + 1]};
  }

  Stream<Cpu>& stream_;
  std::int64_t samples_;
  std::vector<std::int64_t> widths_;
  std::vector<std::vector<float>> activations_, gradients_, weights_, weight_gradients_;
};

/// The batches of the steps that a race makes, as a reader would give them, by step number.
std::vector<Batch> batches_of(const BenchContext& context, const IdBatches& own,
                              std::int64_t slices) {
  const int rank = context.communicator().rank();
  const Range run = run_of(rank, context.communicator().size(), slices);
  std::vector<Batch> batches(static_cast<std::size_t>(own.steps()));
  for (std::int64_t step = context.first_step(own.steps()); step < own.steps(); ++step) {
    batches[static_cast<std::size_t>(step)] = batch_of(own, step, run, rank * own.samples);
  }
  return batches;
}

/// The sparse floor and the products, one after another.
class ModelFloor {
 public:
  ModelFloor(BenchContext& context, const IdBatches& own, FloorOptimizer optimizer)
      : own_(own),
        sparse_(context.stream().threads(), context.dim(), optimizer),
        products_(context.stream(), own.samples, own.features * context.dim() + own.dense_columns),
        gradients_(static_cast<std::size_t>(own.bags() * context.dim())),
        out_(gradients_.size()) {
    sparse_.insert(own.keys);
    fill_gradients(gradients_, 0);
  }

  void step(std::int64_t s) {
    sparse_.train(own_.keys_of(s), own_.offsets_of(s), gradients_.data(), out_.data());
    products_.run();
  }

 private:
  const IdBatches& own_;
  SparseFloor sparse_;
  NineProducts products_;
  std::vector<float> gradients_, out_;
};

double mean_of_last(const std::vector<double>& values, std::size_t most) {
  const std::size_t some = std::min(most, values.size());
  double mean = 0;
  for (std::size_t i = values.size() - some; i < values.size(); ++i) {
    mean += values[i] / static_cast<double>(some);
  }
  return mean;
}

/// The share of each part in the time of a step, without reading.
std::string shares_of(const StepClock& clock) {
  std::string shares;
  for (const StepPart part :
       {StepPart::lookup, StepPart::model, StepPart::backward, StepPart::update}) {
    shares +=
        fmt::format("{} {:.0f} % ", kStepParts[static_cast<std::size_t>(part)],
                    100 * clock.seconds(part) / (clock.total() - clock.seconds(StepPart::read)));
  }
  return shares;
}

void race_model(BenchContext& context, const std::string& name, const Optimizer& optimizer,
                FloorOptimizer floor_optimizer) {
  const IdBatches& own = context.own("W1");
  const JobConfig config = model_config(context.whole("W1"), context.dim(), optimizer);
  Trainer<Cpu> trainer(trainer_options(config), schema_of(own, config), context.communicator(),
                       context.stream());
  fill_rows<Cpu>(context.stream(), *trainer.tables().tables().front(), context.whole("W1").keys);
  const std::vector<Batch> batches = batches_of(context, own, config.job.slices);
  ModelFloor floor(context, own, floor_optimizer);

  std::vector<double> losses;
  trainer.clock().reset();
  std::vector<BenchResult> results =
      context.race(fmt::format("W1 model {}", name), own.steps(),
                   {{context.own_name(),
                     [&](std::int64_t s) {
                       trainer.clock().stop(StepPart::read);
                       losses.push_back(trainer.step(batches[static_cast<std::size_t>(s)], 1).loss);
                     }},
                    {"products + floor", [&](std::int64_t s) { floor.step(s); }}});
  results[0].extra = {
      {"samples_per_s", 1e3 * static_cast<double>(config.job.batch_size) / results[0].median()},
      {"loss_first", losses.front()},
      {"loss_last", mean_of_last(losses, 10)}};
  context.report().compare(results[0], results[1], shares_of(trainer.clock()));
}

}  // namespace

void measure_model(BenchContext& context) {
  race_model(context, "adagrad", bench_adagrad(), FloorOptimizer::adagrad);
  race_model(context, "rowwise", bench_rowwise_adagrad(), FloorOptimizer::rowwise);
}

}  // namespace keyshard
