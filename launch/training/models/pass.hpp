// What the layers of a model share while they work on one slice: where parameters and statistics
// lie, where their gradients go, and what dropout hashes. Borrowed for the length of one call.
#pragma once

#include <cstdint>

#include "launch/training/models/parameters.hpp"
#include "launch/training/models/workspace.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

/// What all slices of a step share.
struct StepContext {
  std::uint64_t seed = 0;
  std::int64_t step = 0;
  std::int64_t valid_samples = 0;  ///< of the global batch; the loss is divided by it
};

struct Pass {
  const Parameters& layout;
  Workspace& workspace;
  const float* parameters = nullptr;  ///< [layout.size()]
  const float* statistics = nullptr;  ///< running means and variances of all batch norms
  float* gradients = nullptr;         ///< [layout.size()], written; null in evaluation
  float* slice_statistics = nullptr;  ///< like `statistics`, written; null where none are taken
  StepContext context{};
  Span<const std::int64_t> sample_numbers{};

  bool training() const { return gradients != nullptr; }

  MatrixView<const float> parameter(int number) const { return layout[number].of(parameters); }

  MatrixView<float> gradient(int number) const { return layout[number].of(gradients); }
};

/// sums [cols] = the sum of the rows of `m`, sequential from a copy of the first; zeros if there is
/// none.
inline void sum_rows(MatrixView<const float> m, float* sums) {
  for (std::int64_t j = 0; j < m.cols; ++j) {
    sums[j] = m.rows > 0 ? m.data[j] : 0.0f;
  }
  for (std::int64_t i = 1; i < m.rows; ++i) {
    const float* row = m.row(i);
    for (std::int64_t j = 0; j < m.cols; ++j) {
      sums[j] += row[j];
    }
  }
}

}  // namespace keyshard
