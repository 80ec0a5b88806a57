// Sums over the samples of a slice: sequential in the samples. Columns are independent, so several
// columns are summed at once.
#pragma once

#include <cstdint>
#include <type_traits>

#include "launch/training/models/slice_group.hpp"
#include "runtime/columns.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// Columns that a lane works on together: a lane alone fills vector registers with `alone` of them,
/// lanes of a team take one each, so that neighbours read neighbouring numbers.
template <class Team>
constexpr int columns_of_lane(int alone) {
  return std::is_same_v<Team, Solo> ? alone : 1;
}

/// sums.of(slice) [1 x cols] = the sum of the rows of the slice in order, beginning with the first
/// row; zeros where the slice has no rows.
struct SumRows {
  MatrixView<const float> rows;
  SliceRuns runs;
  SliceMatrices sums;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t slice, const Team& team) const {
    constexpr int kColumns = columns_of_lane<Team>(64);
    const Range samples = runs.samples_of(slice);
    float* const to = sums.of(slice).data;
    for_columns<kColumns>(team, rows.cols, [&](std::int64_t first, auto width) {
      float sum[kColumns];
      for (std::int64_t d = 0; d < width; ++d) {
        sum[d] = samples.size() > 0 ? rows.row(samples.begin)[first + d] : 0.0f;
      }
      for (std::int64_t i = samples.begin + 1; i < samples.end; ++i) {
        const float* row = rows.row(i) + first;
        for (std::int64_t d = 0; d < width; ++d) {
          sum[d] += row[d];
        }
      }
      for (std::int64_t d = 0; d < width; ++d) {
        to[first + d] = sum[d];
      }
    });
  }
};

}  // namespace keyshard
