#include "launch/bench/model_step.hpp"

#include <iterator>

#include <fmt/format.h>

#include "launch/bench/sparse_step.hpp"

namespace keyshard {
namespace {

JobConfig model_config(const IdBatches& whole, std::int64_t dim, const Optimizer& optimizer,
                       std::int64_t overlap) {
  JobConfig config;
  config.job.batch_size = whole.samples;
  config.job.overlap = overlap;
  config.model.type = ModelType::mlp;
  config.model.hidden = {std::begin(kModelHidden), std::end(kModelHidden)};
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

}  // namespace

ModelStep::ModelStep(BenchContext& context, Communicator<Cpu>& communicator,
                     const Optimizer& optimizer, std::int64_t overlap)
    : config_(model_config(context.whole("W1"), context.dim(), optimizer, overlap)),
      trainer_(trainer_options(config_), schema_of(context.own("W1"), config_), communicator,
               context.stream()),
      batches_(batches_of(context, context.own("W1"), config_.job.slices)) {
  fill_rows<Cpu>(context.stream(), *trainer_.tables().tables().front(), context.whole("W1").keys);
  trainer_.clock().reset();
}

double ModelStep::train(std::int64_t step) {
  const auto i = static_cast<std::size_t>(step);
  trainer_.clock().stop(StepPart::read);
  const NextBatch next{i + 1 < batches_.size() ? &batches_[i + 1] : nullptr};
  return trainer_.step(batches_[i], 1, false, next).loss;
}

}  // namespace keyshard
