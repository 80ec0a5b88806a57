// The bodies of the limits.
#pragma once

#include <algorithm>
#include <vector>

#include "launch/bench/limits.hpp"
#include "launch/bench/scrambled_order.hpp"
#include "runtime/copy.hpp"
#include "runtime/for_each.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// out[i] = the sum of row which[i].
struct SumDrawnRow {
  static constexpr int kTeamWidth = 8;

  const float* rows;
  const std::uint32_t* which;
  std::int64_t dim;
  float* out;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const float* row = rows + which[i] * dim;
    const float sum = strided_sum<float>(team, dim, [&](std::int64_t d) { return row[d]; });
    if (team.thread_rank() == 0) {
      out[i] = sum;
    }
  }
};

/// out [i x dim] = row which[i]. Width is that of a team.
template <int Width>
struct GatherDrawnRow {
  static constexpr int kTeamWidth = Width;

  const float* rows;
  const std::uint32_t* which;
  std::int64_t dim;
  float* out;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const float* row = rows + which[i] * dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      out[i * dim + d] = row[d];
    }
  }
};

/// row which[i] += terms [i x dim].
template <int Width>
struct AddToDrawnRow {
  static constexpr int kTeamWidth = Width;

  float* rows;
  const std::uint32_t* which;
  std::int64_t dim;
  const float* terms;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    float* row = rows + which[i] * dim;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      row[d] += terms[i * dim + d];
    }
  }
};

template <Backend B>
RowLimit<B>::RowLimit(Stream<B>& stream, std::int64_t rows, std::int64_t dim, std::int64_t call)
    : stream_(stream),
      dim_(dim),
      call_(std::min(call, rows)),
      rows_(stream, rows * dim),
      out_(stream, call_ * dim) {
  ScrambledOrder order(rows);
  std::vector<std::uint32_t> which;
  for (std::int64_t c = 0; c < kPreparedCalls; ++c) {
    const std::vector<std::uint32_t> drawn = order.next(call_);
    which.insert(which.end(), drawn.begin(), drawn.end());
  }
  which_ = to_device(stream, which);
  fill_zero(stream, rows_.data(), rows_.size());
  terms_ = to_device(stream, std::vector<float>(static_cast<std::size_t>(out_.size()), 1.0f));
}

template <Backend B>
void RowLimit<B>::sum(std::int64_t step) {
  for_each_row(stream_, call_, SumDrawnRow{rows_.data(), which(step), dim_, out_.data()});
}

/// body(functor) with teams that fit rows of `dim` floats.
template <template <int> class Functor, class Body, class... Fields>
void with_team_width(std::int64_t dim, const Body& body, const Fields&... fields) {
  if (dim < 32) {
    body(Functor<8>{fields...});
  } else {
    body(Functor<32>{fields...});
  }
}

template <Backend B>
void RowLimit<B>::gather(std::int64_t step) {
  with_team_width<GatherDrawnRow>(
      dim_, [&](const auto& functor) { for_each_row(stream_, call_, functor); }, rows_.data(),
      which(step), dim_, out_.data());
}

template <Backend B>
void RowLimit<B>::add(std::int64_t step) {
  with_team_width<AddToDrawnRow>(
      dim_, [&](const auto& functor) { for_each_row(stream_, call_, functor); }, rows_.data(),
      which(step), dim_, terms_.data());
}

template <Backend B>
CopyLimit<B>::CopyLimit(Stream<B>& stream, std::int64_t bytes)
    : stream_(stream), from_(stream, bytes / 8), to_(stream, bytes / 8) {
  fill_zero(stream, from_.data(), from_.size());
}

template <Backend B>
void CopyLimit<B>::copy() {
  keyshard::copy(stream_, from_.data(), from_.size(), to_.data());
}

}  // namespace keyshard
