// The bodies of SparseStep.
#pragma once

#include <algorithm>

#include <fmt/format.h>

#include "embedding/rows/dedup.hpp"
#include "launch/bench/sparse_step.hpp"
#include "runtime/copy.hpp"

namespace keyshard {

template <Backend B>
void fill_rows(Stream<B>& stream, Table<B>& table, Span<const Key> keys) {
  const Distinct<Cpu> distinct =
      dedup(host_of(stream), Occurrences{.keys = keys, .partitioners = {&table.partitioner(), 1}});
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
  Buffer<Key, B> keys_storage;
  Buffer<float, B> values_storage;
  const Key* on_device = device_view<Key>(stream, owned, keys_storage);
  table.assign(stream, Span<const Key>(on_device, owned.size()),
               device_view<float>(stream, values, values_storage));
}

inline TableOptions bench_table(std::int64_t number, const SparseOptions& options) {
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

template <Backend B>
SparseStep<B>::SparseStep(Communicator<B>& communicator, Stream<B>& stream, const IdBatches& own,
                          const SparseOptions& options)
    : stream_(stream),
      own_(own),
      options_(options),
      run_(run_of(communicator.rank(), communicator.size(), options.slices)),
      keys_(device_view<Key>(stream, own.keys, keys_storage_)),
      offsets_(device_view<std::int64_t>(stream, own.offsets, offsets_storage_)),
      tables_(communicator),
      pooled_(stream, own.bags() * options.dim) {
  std::vector<Table<B>*> tables;
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
  lookup_ = std::make_unique<Lookup<B>>(communicator, tables, features);
  for (std::int64_t slice = 0; slice <= run_.size(); ++slice) {
    slice_offsets_.push_back(slice * own.samples / std::max<std::int64_t>(1, run_.size()));
  }
  std::int64_t most = 0;
  for (std::int64_t step = 0; options.weighted && step < own.steps(); ++step) {
    most = std::max(most, own.keys_of(step).size());
  }
  weights_ = to_device(stream, std::vector<float>(static_cast<std::size_t>(most), 1.0f));
  std::vector<float> gradients(static_cast<std::size_t>(pooled_.size()));
  fill_gradients(gradients, communicator.rank() * pooled_.size());
  gradients_ = to_device(stream, gradients);
}

template <Backend B>
LookupInput SparseStep<B>::input(std::int64_t step) const {
  const Span<const Key> keys = own_.keys_of(step);
  const Span<const std::int64_t> offsets = own_.offsets_of(step);
  const Span<const Key> device_keys(keys_ + (keys.data() - own_.keys.data()), keys.size());
  return {
      .bags = {device_keys, {offsets_ + (offsets.data() - own_.offsets.data()), offsets.size()}},
      .samples = own_.samples,
      .slices = options_.slices,
      .run = run_,
      .slice_offsets = slice_offsets_,
      .weights = {weights_.data(), options_.weighted ? keys.size() : 0}};
}

template <Backend B>
void SparseStep<B>::fill(const IdBatches& whole) {
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
    fill_rows<B>(stream_, *tables_.tables()[f], column);
  }
}

template <Backend B>
LookupTrace<B> SparseStep<B>::forward(std::int64_t step, bool training) {
  const std::int64_t width = own_.features * options_.dim;
  const MatrixView<float> pooled{pooled_.data(), own_.samples, width, width};
  LookupTrace<B> trace = lookup_->forward(stream_, input(step), training, {},
                                          Span<const MatrixView<float>>(&pooled, 1));
  traffic_ = trace.traffic();
  return trace;
}

template <Backend B>
void SparseStep<B>::lookup(std::int64_t step) {
  forward(step, false);
}

template <Backend B>
void SparseStep<B>::train(std::int64_t step) {
  clock_.stop(StepPart::read);
  const LookupTrace<B> trace = forward(step, true);
  clock_.stop(StepPart::lookup);
  const std::int64_t width = own_.features * options_.dim;
  const MatrixView<const float> gradients{gradients_.data(), own_.samples, width, width};
  lookup_->backward(stream_, trace, Span<const MatrixView<const float>>(&gradients, 1));
  clock_.stop(StepPart::backward);
  tables_.apply(stream_, {1, own_.samples});
  clock_.stop(StepPart::update);
}

template <Backend B>
std::string SparseStep<B>::shares() const {
  const double lookup = clock_.seconds(StepPart::lookup),
               backward = clock_.seconds(StepPart::backward),
               update = clock_.seconds(StepPart::update);
  const double percent = 100 / (lookup + backward + update);
  return fmt::format("lookup {:.0f} % backward {:.0f} % update {:.0f} %", percent * lookup,
                     percent * backward, percent * update);
}

template <Backend B>
std::int64_t SparseStep<B>::rows() const {
  std::int64_t rows = 0;
  for (const auto& table : tables_.tables()) {
    rows += table->size();
  }
  return rows;
}

}  // namespace keyshard
