#include "launch/bench/sparse_step.hpp"

#include <fmt/format.h>

#include "embedding/rows/dedup.hpp"

namespace keyshard {

Optimizer bench_adagrad() { return Adagrad{0.05f, 0, 1e-7f, true}; }

Optimizer bench_rowwise_adagrad() { return RowwiseAdagrad{0.05f, 0, 1e-7f}; }

void fill_rows(Stream<Cpu>& stream, Table<Cpu>& table, Span<const Key> keys) {
  const Distinct<Cpu> distinct =
      dedup(stream, Occurrences{.keys = keys, .partitioners = {&table.partitioner(), 1}});
  std::vector<Key> owned;
  for (const Key key : distinct.keys.span()) {
    if (table.shards().contains(shard_of(table.partitioner(), key))) {
      owned.push_back(key);
    }
  }
  const auto dim = static_cast<std::size_t>(table.layout().dim);
  std::vector<float> values(owned.size() * dim);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = filled_value(owned[i / dim], static_cast<std::int64_t>(i % dim));
  }
  table.assign(stream, owned, values.data());
}

namespace {

TableOptions bench_table(std::int64_t number, const SparseOptions& options) {
  TableOptions table;
  table.name = fmt::format("table{}", number);
  table.groups = {
      {"values", options.dim, options.initializer, {}, options.optimizer, {}, options.max_norm}};
  table.restrict_policy = options.restrict_policy;
  table.admit_after = options.admit_after;
  table.pool_order = options.pool_order;
  table.exchange = options.exchange;
  table.value_dtype = options.value_dtype;
  return table;
}

}  // namespace

SparseStep::SparseStep(Communicator<Cpu>& communicator, Stream<Cpu>& stream, const IdBatches& own,
                       const SparseOptions& options)
    : stream_(stream),
      own_(own),
      options_(options),
      run_(run_of(communicator.rank(), communicator.size(), options.slices)),
      tables_(communicator),
      pooled_(stream, own.bags() * options.dim),
      gradients_(stream, own.bags() * options.dim) {
  std::vector<Table<Cpu>*> tables;
  std::vector<FeatureOptions> features;
  for (std::int64_t f = 0; f < own.features; ++f) {
    if (f == 0 || options.table_per_feature) {
      tables.push_back(&tables_.create(bench_table(f, options)));
    }
    features.push_back({fmt::format("feature{}", f),
                        static_cast<int>(tables.size()) - 1,
                        {Sum{}},
                        options.weighted});
  }
  lookup_ = std::make_unique<Lookup<Cpu>>(communicator, tables, features);
  for (std::int64_t slice = 0; slice <= run_.size(); ++slice) {
    slice_offsets_.push_back(slice * own.samples / std::max<std::int64_t>(1, run_.size()));
  }
  for (std::int64_t step = 0; options.weighted && step < own.steps(); ++step) {
    const auto ids = static_cast<std::size_t>(own.keys_of(step).size());
    weights_.resize(std::max(weights_.size(), ids), 1.0f);
  }
  fill_gradients(gradients_.span(), communicator.rank() * gradients_.size());
}

LookupInput SparseStep::input(std::int64_t step) const {
  const Span<const Key> keys = own_.keys_of(step);
  return {.bags = {keys, own_.offsets_of(step)},
          .samples = own_.samples,
          .slices = options_.slices,
          .run = run_,
          .slice_offsets = slice_offsets_,
          .weights = {weights_.data(), options_.weighted ? keys.size() : 0}};
}

void SparseStep::fill(const IdBatches& whole) {
  constexpr std::int64_t kChunk = 1 << 18;
  const Span<const Key> keys = whole.table_keys.empty() ? whole.keys : whole.table_keys;
  if (!options_.table_per_feature) {
    for (std::int64_t at = 0; at < keys.size(); at += kChunk) {
      fill_rows(stream_, *tables_.tables().front(),
                keys.subspan(at, std::min(kChunk, keys.size() - at)));
    }
    return;
  }
  for (std::size_t f = 0; f < tables_.tables().size(); ++f) {
    std::vector<Key> column;
    for (std::int64_t step = 0; step < whole.steps(); ++step) {
      const Span<const std::int64_t> offsets = whole.offsets_of(step);
      const Span<const Key> ids = whole.keys_of(step);
      for (auto bag = static_cast<std::int64_t>(f); bag + 1 < offsets.size();
           bag += static_cast<std::int64_t>(tables_.tables().size())) {
        column.insert(column.end(), ids.begin() + offsets[bag], ids.begin() + offsets[bag + 1]);
      }
    }
    fill_rows(stream_, *tables_.tables()[f], column);
  }
}

LookupTrace<Cpu> SparseStep::forward(std::int64_t step, bool training) {
  const std::int64_t width = own_.features * options_.dim;
  const MatrixView<float> pooled{pooled_.data(), own_.samples, width, width};
  LookupTrace<Cpu> trace = lookup_->forward(stream_, input(step), training, {},
                                            Span<const MatrixView<float>>(&pooled, 1));
  traffic_ = trace.traffic();
  return trace;
}

void SparseStep::lookup(std::int64_t step) { forward(step, false); }

void SparseStep::train(std::int64_t step) {
  clock_.stop(StepPart::read);
  const LookupTrace<Cpu> trace = forward(step, true);
  clock_.stop(StepPart::lookup);
  const std::int64_t width = own_.features * options_.dim;
  const MatrixView<const float> gradients{gradients_.data(), own_.samples, width, width};
  lookup_->backward(stream_, trace, Span<const MatrixView<const float>>(&gradients, 1));
  clock_.stop(StepPart::backward);
  tables_.apply(stream_, {1, own_.samples});
  clock_.stop(StepPart::update);
}

std::string SparseStep::shares() const {
  const double lookup = clock_.seconds(StepPart::lookup),
               backward = clock_.seconds(StepPart::backward),
               update = clock_.seconds(StepPart::update);
  const double percent = 100 / (lookup + backward + update);
  return fmt::format("lookup {:.0f} % backward {:.0f} % update {:.0f} %", percent * lookup,
                     percent * backward, percent * update);
}

std::int64_t SparseStep::rows() const {
  std::int64_t rows = 0;
  for (const auto& table : tables_.tables()) {
    rows += table->size();
  }
  return rows;
}

}  // namespace keyshard
