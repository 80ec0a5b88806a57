// The samples of one step that a rank owns: those of its run of slices, in order. Ids lie sample by
// sample, for that is the order in which their gradients are added: bag f of sample b is number b *
// features + f.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/portable.hpp"
#include "runtime/runs.hpp"
#include "runtime/view.hpp"

namespace keyshard {

struct Batch {
  Range slices;  ///< slices of this rank (empty where there are more ranks than slices)
  /// [slices.size() + 1]: slice slices.begin + i has the samples offsets[i] .. offsets[i + 1].
  std::vector<std::int64_t> slice_offsets;

  // One entry per sample. A bad line leaves a hole: its sample is absent, and the number of that
  // sample is not used again.

  /// Numbers in the global batch, the same on any number of ranks.
  std::vector<std::int64_t> sample_numbers;
  std::vector<std::int64_t> records;  ///< number of the record in input order
  std::vector<float> labels;
  std::vector<float> weights;  ///< empty: all 1

  std::int64_t dense_columns = 0;
  std::vector<float> dense;  ///< [samples x dense_columns]

  std::int64_t features = 0;
  std::vector<Key> ids;           ///< of all bags, one bag after another
  std::vector<float> id_weights;  ///< of each id, 1 in features without weights; empty: all 1
  std::vector<std::int64_t> id_offsets;  ///< [samples * features + 1]

  std::vector<std::string> kept;  ///< cells of DataOptions::keep [samples x keep.size()]

  std::int64_t samples() const { return static_cast<std::int64_t>(labels.size()); }

  RaggedView<const Key> bags() const { return {ids, id_offsets}; }

  std::int64_t bad_lines = 0;  ///< holes of this rank
  std::string first_bad_line;  ///< "file:line: reason"; empty: there is none

  /// Empty, with the capacity kept.
  void clear();
};

}  // namespace keyshard
