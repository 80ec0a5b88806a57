// The list of the measures of any device, and how they run.
#pragma once

#include <algorithm>

#include "launch/bench/device_measures.hpp"
#include "launch/bench/step_measures_impl.hpp"
#include "launch/bench/table_measures_impl.hpp"
#include "runtime/stream_timer.hpp"

namespace keyshard {

template <Backend B>
void time_lookup(const BenchOn<B>& bench) {
  time_table_lookup(bench);
  time_step_lookup(bench);
}

template <Backend B>
const std::vector<DeviceMeasure<B>>& device_measures() {
  static const std::vector<DeviceMeasure<B>> all{
      {"find", "row numbers of keys of one table, by width and load", &time_find<B>},
      {"insert", "find_or_insert, of keys with rows and of new keys", &time_insert<B>},
      {"update", "an optimizer step of rows that are known", &time_update<B>},
      {"lookup", "values of keys of one table; bags of ten tables", &time_lookup<B>},
      {"dedup", "distinct ids of a step of ten tables", &time_dedup<B>},
      {"small", "the same with 32 samples", &time_small<B>},
      {"large", "row numbers and values of keys of a large table", &time_large<B>},
      // Last, for it needs the most memory.
      {"train", "sparse training step of ten tables", &time_train<B>},
  };
  return all;
}

template <Backend B>
void run_device_measures(const BenchOn<B>& bench, const std::vector<std::string>& names) {
  StreamTimer<B> timer(bench.stream);
  bench.context.time_by([&timer](const std::function<void()>& body) {
    timer.start();
    body();
    return timer.stop();
  });
  for (const DeviceMeasure<B>& measure : device_measures<B>()) {
    if (std::find(names.begin(), names.end(), measure.name) != names.end()) {
      measure.run(bench);
    }
  }
  bench.context.time_by({});
}

}  // namespace keyshard
