// The measures of one table on any device.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "launch/bench/limits.hpp"
#include "launch/bench/table_calls.hpp"
#include "launch/bench/timed_call.hpp"

namespace keyshard {

/// What is read or changed at drawn places: the lines of the index of a table, or its rows.
enum class DrawnPlaces { lines, rows };

/// The limit of a table with room for so many rows. A line has 64 bytes, and serves 4 keys where an
/// index is four fifths full.
template <Backend B>
RowLimit<B> limit_of(const BenchOn<B>& bench, DrawnPlaces places, const CallSizes& sizes) {
  constexpr std::int64_t kLineFloats = 16, kKeysOfLine = 4;
  return places == DrawnPlaces::rows
             ? RowLimit<B>(bench.stream, sizes.capacity, sizes.dim, sizes.call)
             : RowLimit<B>(bench.stream, std::max(sizes.capacity / kKeysOfLine, sizes.call),
                           kLineFloats, sizes.call);
}

/// Gives a table rows until it has so many; returns the milliseconds of each call, but for a last
/// one of fewer keys than the others.
template <Backend B>
std::vector<double> fill_table(const BenchOn<B>& bench, TableCalls<B>& calls, std::int64_t rows) {
  std::vector<double> milliseconds;
  while (const std::int64_t keys = calls.bring_new(rows)) {
    const double seconds = bench.context.seconds_of([&] { calls.insert_new(); });
    if (milliseconds.empty() || keys == bench.sizes().call) {
      milliseconds.push_back(1e3 * seconds);
    }
  }
  return milliseconds;
}

/// A table at one load, for a measure.
template <Backend B>
struct LoadedTable {
  TableCalls<B>& calls;
  RowLimit<B>& limit;
  double load;                       ///< rows of those that there is room for
  std::vector<double> milliseconds;  ///< of the calls that gave it its last rows

  std::string name(const char* call) const { return fmt::format("{}, load {:.2f}", call, load); }

  std::string fill() const { return fmt::format("index {:.0f} % full", 100 * calls.fill()); }
};

/// measure(LoadedTable) for a table of each width at each load.
template <Backend B, class Measure>
void for_each_load(const BenchOn<B>& bench, DrawnPlaces places, const Measure& measure) {
  for (const std::int64_t dim : bench.dims) {
    bench.context.set_dim(dim);
    const CallSizes sizes{dim, bench.sizes().capacity, bench.sizes().call};
    TableCalls<B> calls(bench.stream, sizes);
    RowLimit<B> limit = limit_of(bench, places, sizes);
    for (const double load : {0.5, 0.75, 0.95}) {
      const auto rows = static_cast<std::int64_t>(load * static_cast<double>(sizes.capacity));
      LoadedTable<B> table{calls, limit, load, fill_table(bench, calls, rows)};
      calls.draw();
      measure(table);
    }
  }
}

template <Backend B>
void time_find(const BenchOn<B>& bench) {
  for_each_load(bench, DrawnPlaces::lines, [&](LoadedTable<B>& table) {
    time_call(bench, {.name = table.name("find"),
                      .keys = bench.sizes().call,
                      .ours = [&](std::int64_t step) { table.calls.find(step); },
                      .limit_name = "lines",
                      .limit = [&](std::int64_t step) { table.limit.sum(step); },
                      .note = table.fill()});
  });
}

/// The calls that gave a table its new rows, beside as many additions to lines.
template <Backend B>
void report_new_rows(const BenchOn<B>& bench, LoadedTable<B>& table) {
  std::vector<double> limit;
  for (std::size_t i = 0; i < table.milliseconds.size(); ++i) {
    const auto step = static_cast<std::int64_t>(i);
    limit.push_back(1e3 * bench.context.seconds_of([&] { table.limit.add(step); }));
  }
  const auto result = [&](const std::string& peer, const std::vector<double>& milliseconds) {
    BenchResult one;
    one.peer = peer;
    one.measure = table.name("insert new, up to");
    one.dim = bench.context.dim();
    one.rounds = {spread_of(milliseconds)};
    return one;
  };
  BenchResult ours = result(bench.context.own_name(), table.milliseconds);
  BenchResult lines = result("lines changed", limit);
  add_rates(ours, bench.sizes().call);
  add_rates(lines, bench.sizes().call);
  bench.context.report().compare(ours, lines,
                                 fmt::format("{:.3f} G keys/s", ours.extra.front().second / 1e3));
}

template <Backend B>
void time_insert(const BenchOn<B>& bench) {
  for_each_load(bench, DrawnPlaces::lines, [&](LoadedTable<B>& table) {
    report_new_rows(bench, table);
    time_call(bench, {.name = table.name("find_or_insert"),
                      .keys = bench.sizes().call,
                      .ours = [&](std::int64_t step) { table.calls.find_or_insert(step); },
                      .limit_name = "lines",
                      .limit = [&](std::int64_t step) { table.limit.sum(step); },
                      .note = table.fill()});
  });
}

template <Backend B>
void time_update(const BenchOn<B>& bench) {
  for_each_load(bench, DrawnPlaces::rows, [&](LoadedTable<B>& table) {
    time_call(bench, {.name = table.name("update sgd"),
                      .keys = bench.sizes().call,
                      .ours = [&](std::int64_t step) { table.calls.update(step); },
                      .limit_name = "rows changed",
                      .limit = [&](std::int64_t step) { table.limit.add(step); }});
  });
}

template <Backend B>
void time_table_lookup(const BenchOn<B>& bench) {
  for_each_load(bench, DrawnPlaces::rows, [&](LoadedTable<B>& table) {
    time_call(bench, {.name = table.name("lookup"),
                      .keys = bench.sizes().call,
                      .ours = [&](std::int64_t step) { table.calls.lookup(step); },
                      .limit_name = "rows copied",
                      .limit = [&](std::int64_t step) { table.limit.gather(step); },
                      .note = bench.context.dim() == 128 ? "asked of an H200: 1.7 G keys/s" : ""});
  });
}

/// HierarchicalKV's shape.
template <Backend B>
void time_large(const BenchOn<B>& bench) {
  const CallSizes sizes{8, bench.sizes().large_rows, bench.sizes().call};
  bench.context.set_dim(sizes.dim);
  TableCalls<B> calls(bench.stream, sizes);
  fill_table(bench, calls, sizes.capacity);
  calls.draw();
  {
    RowLimit<B> lines = limit_of(bench, DrawnPlaces::lines, sizes);
    time_call(bench, {.name = "large find",
                      .keys = sizes.call,
                      .ours = [&](std::int64_t step) { calls.find(step); },
                      .limit_name = "lines",
                      .limit = [&](std::int64_t step) { lines.sum(step); },
                      .note = "HierarchicalKV on an H100 NVL: 3.9 G keys/s; asked: 4.5"});
  }
  RowLimit<B> rows = limit_of(bench, DrawnPlaces::rows, sizes);
  time_call(bench, {.name = "large lookup",
                    .keys = sizes.call,
                    .ours = [&](std::int64_t step) { calls.lookup(step); },
                    .limit_name = "rows copied",
                    .limit = [&](std::int64_t step) { rows.gather(step); }});
}

}  // namespace keyshard
