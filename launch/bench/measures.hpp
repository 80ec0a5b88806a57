// The measures of `keyshard bench`, each a function that runs its contenders and reports them.
#pragma once

#include <string>
#include <vector>

#include "launch/bench/context.hpp"

namespace keyshard {

void measure_lookup(BenchContext& context);
void measure_train(BenchContext& context);
void measure_insert(BenchContext& context);

struct NamedMeasure {
  std::string name;
  std::string what;
  void (*run)(BenchContext&);
};

/// All of them, in the order in which they run.
const std::vector<NamedMeasure>& all_measures();

}  // namespace keyshard
