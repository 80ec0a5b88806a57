#include "launch/bench/measures.hpp"

namespace keyshard {

const std::vector<NamedMeasure>& all_measures() {
  static const std::vector<NamedMeasure> all{
      {"lookup", "rows of existing keys, beside dedup, probe and gather", &measure_lookup},
      {"train", "sparse training step, beside the same as plain loops", &measure_train},
      {"insert", "rows of new keys while the table grows", &measure_insert},
  };
  return all;
}

}  // namespace keyshard
