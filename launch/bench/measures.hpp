// The measures of `keyshard bench` on a CPU, each a function that runs its contenders and reports
// them. Those of any device: device_measures.hpp.
#pragma once

#include <string>
#include <vector>

#include "launch/bench/context.hpp"

namespace keyshard {

void measure_find(BenchContext& context);
void measure_dedup(BenchContext& context);
void measure_lookup(BenchContext& context);
void measure_pool(BenchContext& context);
void measure_insert(BenchContext& context);
void measure_update(BenchContext& context);
void measure_train(BenchContext& context);
void measure_same_bits(BenchContext& context);
void measure_exchange(BenchContext& context);
void measure_model(BenchContext& context);
void measure_overlap(BenchContext& context);
void measure_job(BenchContext& context);
void measure_scale(BenchContext& context);
void measure_rows(BenchContext& context);
void measure_checkpoint(BenchContext& context);
void measure_text(BenchContext& context);
void measure_store(BenchContext& context);

struct NamedMeasure {
  std::string name;
  std::string what;
  void (*run)(BenchContext&);
};

/// Those of a CPU, in the order in which they run.
const std::vector<NamedMeasure>& all_measures();

}  // namespace keyshard
