#include "io/batch.hpp"

namespace keyshard {

void Batch::clear() {
  slice_offsets.clear();
  sample_numbers.clear();
  records.clear();
  labels.clear();
  weights.clear();
  dense.clear();
  ids.clear();
  id_weights.clear();
  id_offsets.clear();
  kept.clear();
  bad_lines = 0;
  first_bad_line.clear();
}

}  // namespace keyshard
