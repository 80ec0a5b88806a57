// A call of a measure of any device, its limit, and how both take turns and are reported.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "launch/bench/device_measures.hpp"

namespace keyshard {

struct TimedCall {
  std::string name;
  std::int64_t keys = 0;  ///< of a call
  std::function<void(std::int64_t step)> ours;
  std::string limit_name;
  std::function<void(std::int64_t step)> limit;
  std::string note = {};  ///< for people: what others reach, what is asked
};

/// Adds what follows from the time of a call.
inline void add_rates(BenchResult& result, std::int64_t keys) {
  result.extra.emplace_back("mkeys_per_s", static_cast<double>(keys) / result.median() / 1e3);
}

/// Reports a call beside its limit. `launches` are those of one call.
inline void report_call(BenchContext& context, std::int64_t keys, std::int64_t launches,
                        std::pair<BenchResult, BenchResult> results, const std::string& note) {
  auto& [ours, limit] = results;
  add_rates(ours, keys);
  add_rates(limit, keys);
  ours.extra.emplace_back("launches", static_cast<double>(launches));
  context.report().compare(
      ours, limit,
      fmt::format("{:.3f} G keys/s, {} launches{}", ours.extra.front().second / 1e3, launches,
                  note.empty() ? "" : "; " + note));
}

/// Lets a call and its limit take turns, and reports them. The call is made once before.
template <Backend B>
void time_call(const BenchOn<B>& bench, const TimedCall& call) {
  const std::int64_t before = bench.stream.launches();
  call.ours(0);
  const std::int64_t launches = bench.stream.launches() - before;
  const BenchCommand& command = bench.context.command();
  const std::int64_t steps = std::max(command.warmup + command.steps, (3 * command.steps + 1) / 2);
  std::vector<BenchResult> results = bench.context.race(
      call.name, steps, {{bench.context.own_name(), call.ours}, {call.limit_name, call.limit}});
  report_call(bench.context, call.keys, launches, {std::move(results[0]), std::move(results[1])},
              call.note);
}

}  // namespace keyshard
