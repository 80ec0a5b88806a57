// The measures of steps of several tables on any device, at the public shape of dynamicemb.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "embedding/rows/dedup.hpp"
#include "launch/bench/least_bytes.hpp"
#include "launch/bench/limits.hpp"
#include "launch/bench/scrambled_order.hpp"
#include "launch/bench/sparse_step.hpp"
#include "launch/bench/timed_call.hpp"
#include "runtime/copy.hpp"

namespace keyshard {

/// Gives all ids of a feature of workload P rows, in a scrambled order.
template <Backend B>
void make_rows(const BenchOn<B>& bench, std::int64_t feature, Table<B>& table) {
  const std::int64_t size = bench.sizes().rows_of_table;
  ScrambledOrder order(size);
  for (std::int64_t at = 0; at < size; at += bench.sizes().call) {
    std::vector<Key> keys;
    for (const std::uint32_t id : order.next(std::min(bench.sizes().call, size - at))) {
      keys.push_back(workload_key(feature, id));
    }
    const Buffer<Key, B> device = to_device(bench.stream, keys);
    Buffer<RowId, B> rows(bench.stream, device.size());
    table.find_or_insert(bench.stream, device.span(), rows.data());
  }
}

/// A step of a table for each feature, whose ids all have rows.
template <Backend B>
std::unique_ptr<SparseStep<B>> step_of(const BenchOn<B>& bench, const IdBatches& batches,
                                       const Optimizer& optimizer) {
  SparseOptions options;
  options.dim = bench.sizes().step_dim;
  options.optimizer = optimizer;
  options.table_per_feature = true;
  bench.context.set_dim(options.dim);
  auto step = std::make_unique<SparseStep<B>>(bench.communicator, bench.stream, batches, options);
  for (std::int64_t f = 0; f < batches.features; ++f) {
    make_rows(bench, f, *step->tables().tables()[static_cast<std::size_t>(f)]);
  }
  return step;
}

/// The shape of the first step of a workload.
template <Backend B>
StepShape shape_of(const BenchOn<B>& bench, SparseStep<B>& step, const IdBatches& batches,
                   std::int64_t states) {
  step.lookup(0);
  return {batches.keys_of(0).size(), step.traffic().distinct, bench.sizes().step_dim, states};
}

template <Backend B>
void time_step_lookup(const BenchOn<B>& bench) {
  const IdBatches& batches = bench.context.whole("P");
  const auto step = step_of(bench, batches, Sgd{});
  const StepShape shape = shape_of(bench, *step, batches, 0);
  CopyLimit<B> limit(bench.stream, least_lookup_bytes(shape));
  time_call(bench, {.name = "P lookup",
                    .keys = shape.ids,
                    .ours = [&](std::int64_t s) { step->lookup(s % batches.steps()); },
                    .limit_name = "copy",
                    .limit = [&](std::int64_t) { limit.copy(); },
                    .note = fmt::format("{} of {} ids are distinct", shape.distinct, shape.ids)});
}

template <Backend B>
void time_dedup(const BenchOn<B>& bench) {
  bench.context.set_dim(bench.sizes().step_dim);
  const IdBatches& batches = bench.context.whole("P");
  const Buffer<Key, B> keys = to_device(bench.stream, batches.keys);
  std::vector<std::uint16_t> tables;
  for (std::int64_t i = 0; i < batches.bags(); ++i) {
    tables.push_back(static_cast<std::uint16_t>(i % batches.features));
  }
  const Buffer<std::uint16_t, B> device_tables = to_device(bench.stream, tables);
  const std::vector<Partitioner> partitioners(static_cast<std::size_t>(batches.features),
                                              partitioner_of("hash", "table"));
  StepShape shape{.ids = batches.bags()};
  const auto run = [&](std::int64_t s) {
    const std::int64_t first = s % batches.steps() * batches.bags();
    shape.distinct =
        dedup(bench.stream, Occurrences{.keys = keys.span().subspan(first, batches.bags()),
                                        .tables = device_tables.data(),
                                        .partitioners = partitioners})
            .size();
  };
  run(0);
  CopyLimit<B> limit(bench.stream, least_dedup_bytes(shape));
  time_call(bench, {.name = "P dedup",
                    .keys = shape.ids,
                    .ours = run,
                    .limit_name = "copy",
                    .limit = [&](std::int64_t) { limit.copy(); },
                    .note = "dynamicemb on an H100: 0.125 ms; asked: 0.110"});
}

template <Backend B>
void time_train(const BenchOn<B>& bench) {
  struct Case {
    const char* name;
    Optimizer optimizer;
    std::int64_t states;  ///< numbers per number of a row
    const char* note;
  };

  const IdBatches& batches = bench.context.whole("P");
  for (const Case& c :
       {Case{"P train sgd", Sgd{}, 0, "H100: dynamicemb 1.67 ms; asked: 0.96, a static table"},
        Case{"P train adam", Adam{}, 2, "H100: dynamicemb 1.93 ms; asked: 1.35, a static table"}}) {
    const auto step = step_of(bench, batches, c.optimizer);
    const StepShape shape = shape_of(bench, *step, batches, c.states * bench.sizes().step_dim);
    CopyLimit<B> limit(bench.stream, least_train_bytes(shape));
    time_call(bench, {.name = c.name,
                      .keys = shape.ids,
                      .ours = [&](std::int64_t s) { step->train(s % batches.steps()); },
                      .limit_name = "copy",
                      .limit = [&](std::int64_t) { limit.copy(); },
                      .note = c.note});
  }
}

template <Backend B>
void time_small(const BenchOn<B>& bench) {
  const DeviceSizes& sizes = bench.sizes();
  const IdBatches batches =
      workload_p({sizes.small_samples, sizes.tables, sizes.rows_of_table, sizes.batches});
  const auto step = step_of(bench, batches, Sgd{});
  RowLimit<B> limit(bench.stream, 1, 1, 1);
  time_call(bench, {.name = fmt::format("P train sgd, {} samples", batches.samples),
                    .keys = batches.bags(),
                    .ours = [&](std::int64_t s) { step->train(s % batches.steps()); },
                    .limit_name = "one launch",
                    .limit = [&](std::int64_t s) { limit.sum(s); },
                    .note = "asked: 0.130 ms"});
}

}  // namespace keyshard
