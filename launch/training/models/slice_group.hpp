// A group of consecutive slices that a model works on together. On a CPU a group is one slice: a
// thread takes slice after slice and keeps the data of a slice in its cache. On a device, which
// needs more work at once, a group is all slices of the rank. The samples of a group lie in one
// piece, slice after slice, and the arithmetic of a slice does not depend on its group.
#pragma once

#include <cstdint>

#include "runtime/portable.hpp"
#include "runtime/runs.hpp"
#include "runtime/view.hpp"

namespace keyshard {

/// Which samples of a group belong to which slice; for functors.
struct SliceRuns {
  /// [slices + 1] Where each slice begins and the last slice ends. Offsets may start at any number:
  /// sample 0 of the group is at offsets[0].
  const std::int64_t* offsets = nullptr;
  std::int64_t slices = 0;

  KEYSHARD_HD Range samples_of(std::int64_t slice) const {
    return {offsets[slice] - offsets[0], offsets[slice + 1] - offsets[0]};
  }

  /// The slice of a sample: the last one that begins at the sample or before.
  KEYSHARD_HD std::int64_t slice_of(std::int64_t sample) const {
    std::int64_t first = 0, end = slices;
    while (end - first > 1) {
      const std::int64_t middle = (first + end) / 2;
      (offsets[middle] - offsets[0] <= sample ? first : end) = middle;
    }
    return first;
  }
};

/// A group, with its offsets in device memory and in host memory (on a CPU the same). Borrowed.
struct SliceGroup {
  SliceRuns runs;
  const std::int64_t* host_offsets = nullptr;

  std::int64_t slices() const { return runs.slices; }

  std::int64_t samples() const { return host_offsets[runs.slices] - host_offsets[0]; }

  /// SliceRuns::samples_of, for the host.
  Range samples_of(std::int64_t slice) const {
    return {host_offsets[slice] - host_offsets[0], host_offsets[slice + 1] - host_offsets[0]};
  }
};

/// A matrix for each slice of a group, `stride` numbers from one to the next.
struct SliceMatrices {
  MatrixView<float> first;
  std::int64_t stride = 0;

  KEYSHARD_HD MatrixView<float> of(std::int64_t slice) const {
    MatrixView<float> matrix = first;
    matrix.data += slice * stride;
    return matrix;
  }
};

}  // namespace keyshard
