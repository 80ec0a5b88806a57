// for_each, for_each_row and for_each_run of a CUDA device (runtime/for_each.hpp).
#pragma once

#include <cstdint>

#include "runtime/copy.hpp"
#include "runtime/for_each.hpp"
#include "runtime/launch_cuda.hpp"

namespace keyshard {

/// functor(i) for the indices of [0, n) that fall to the calling lane.
template <class F>
struct EachIndex {
  std::int64_t n;
  F functor;

  template <class Block>
  KEYSHARD_HD void operator()(const Block& block) const {
    const std::int64_t stride = block.blocks() * block.lanes();
    for (std::int64_t i = block.index() * block.lanes() + block.lane(); i < n; i += stride) {
      functor(i);
    }
  }
};

/// body(i, team) for the indices of [0, n) that fall to the team of Width lanes of the calling
/// lane.
template <int Width, class Block, class Body>
KEYSHARD_HD void for_team_rows(const Block& block, std::int64_t n, const Body& body) {
  const auto team = block.template team<Width>();
  const std::int64_t of_block = block.lanes() / Width;
  const std::int64_t stride = block.blocks() * of_block;
  for (std::int64_t i = block.index() * of_block + block.lane() / Width; i < n; i += stride) {
    body(i, team);
  }
}

/// What for_each_row does with a row.
template <class F>
struct CallOneRow {
  const F& functor;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    call_row(functor, i, team);
  }
};

template <int Width, class F>
struct EachRow {
  std::int64_t n;
  F functor;

  template <class Block>
  KEYSHARD_HD void operator()(const Block& block) const {
    for_team_rows<Width>(block, n, CallOneRow<F>{functor});
  }
};

/// What for_each_run does with a row.
template <class F>
struct CallRowOfRun {
  const F& functor;
  const std::int64_t* starts;
  std::int64_t runs;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    call_run(functor, starts, runs, i, team);
  }
};

template <int Width, class F>
struct EachRowOfRuns {
  const std::int64_t* starts;  ///< [runs + 1]
  std::int64_t runs;
  F functor;

  template <class Block>
  KEYSHARD_HD void operator()(const Block& block) const {
    for_team_rows<Width>(block, starts[runs], CallRowOfRun<F>{functor, starts, runs});
  }
};

/// Lanes that share a row: as the functor says, or a warp.
template <class F>
constexpr int team_width() {
  if constexpr (requires { F::kTeamWidth; }) {
    return F::kTeamWidth;
  } else {
    return 32;
  }
}

template <class F>
void for_each(Stream<Cuda>& stream, std::int64_t n, const F& functor) {
  if (n > 0) {
    launch(stream, blocks_for(n, 1), EachIndex<F>{n, functor});
  }
}

template <class F>
void for_each_row(Stream<Cuda>& stream, std::int64_t n, const F& functor) {
  constexpr int kWidth = team_width<F>();
  if (n > 0) {
    launch(stream, blocks_for(n, kWidth), EachRow<kWidth, F>{n, functor});
  }
}

template <class F>
void for_each_run(Stream<Cuda>& stream, Span<const std::int64_t> starts, const F& functor) {
  constexpr int kWidth = team_width<F>();
  const std::int64_t runs = starts.size() - 1, n = starts[runs];
  if (n > 0) {
    Buffer<std::int64_t, Cuda> storage;
    const std::int64_t* device_starts = device_view(stream, starts, storage);
    launch(stream, blocks_for(n, kWidth), EachRowOfRuns<kWidth, F>{device_starts, runs, functor});
  }
}

}  // namespace keyshard
