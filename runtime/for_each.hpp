// Runs a functor over an index range on a device. `for_each` gives it an index; `for_each_row` an
// index and the team of lanes that shares the row; `for_each_run` tells apart, inside one launch,
// runs of rows that differ in their rules. Functors are small trivially copyable structs with
// public fields and a const operator(); their result must not depend on the order of the indices.
//
// A functor of rows may offer `fetch(i)`, which starts to load what index i needs: a CPU calls it
// some indices ahead, piece by piece, so that lines are on their way while rows are worked on. What
// `fetch` returns, if anything, is the last argument of operator(). `fetched()` says about how many
// floats one `fetch` loads, which decides the size of a piece.
//
// A functor may offer `fetch_range(begin, end)` in its place, for a whole piece: with few
// instructions from one line to the next, more lines are on their way at a time.
//
// A team of several lanes calls `fetch` right before the work, and only where `fetch` returns
// something. `kTeamWidth` of a functor says how many lanes of a GPU share a row: 8, 16 or 32; 32
// for a functor without kTeamWidth.
//
// A CPU cuts the range into shares that are worth a thread (Stream<Cpu>), so that a launch of
// little work runs on the calling thread. `work()` of a functor says about how many nanoseconds an
// index costs.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "runtime/stream.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// A piece of indices that are fetched together: as many as load about 1 KiB, and not more than
/// kPieceIndices. A piece is fetched two pieces before its turn: that many lines keep the memory of
/// a core busy, and its first-level cache holds them.
inline constexpr std::int64_t kPieceFloats = 256;
inline constexpr std::int64_t kPieceIndices = 16;
inline constexpr std::int64_t kPiecesAhead = 2;

template <class F>
concept FetchesAhead = requires(const F& functor) {
  functor.fetch(std::int64_t{});
};

template <class F>
concept FetchesRanges = requires(const F& functor) {
  functor.fetch_range(std::int64_t{}, std::int64_t{});
};

/// Functors whose `fetch` returns an argument for operator().
template <class F>
concept HandsOnFetched = FetchesAhead<F> && requires(const F& functor) {
  requires !std::is_void_v<decltype(functor.fetch(std::int64_t{}))>;
};

/// The least indices of a share; `usual_work` is in nanoseconds, for a functor without work().
template <class F>
std::int64_t grain_of(const Stream<Cpu>& stream, const F& functor, std::int64_t usual_work) {
  if constexpr (requires { functor.work(); }) {
    return stream.share_work() / std::max<std::int64_t>(functor.work(), 1);
  } else {
    return stream.share_work() / usual_work;
  }
}

/// Indices that are fetched together.
template <class F>
std::int64_t piece_of(const F& functor) {
  if constexpr (requires { functor.fetched(); }) {
    return std::clamp<std::int64_t>(kPieceFloats / std::max<std::int64_t>(functor.fetched(), 1), 1,
                                    kPieceIndices);
  } else {
    return kPieceIndices;
  }
}

/// Fetches pieces of indices, and calls the functor for them in the same order, each time with what
/// `fetch` has returned for the index.
template <class F>
struct Fetching {
  KEYSHARD_INLINE void fetch(const F& functor, std::int64_t begin, std::int64_t end) {
    if constexpr (FetchesRanges<F>) {
      if (begin < end) {
        functor.fetch_range(begin, end);
      }
    } else {
      for (; begin < end; ++begin) {
        functor.fetch(begin);
      }
    }
  }

  KEYSHARD_INLINE void call(const F& functor, std::int64_t begin, std::int64_t end) {
    for (; begin < end; ++begin) {
      functor(begin, Solo{});
    }
  }
};

template <HandsOnFetched F>
struct Fetching<F> {
  static constexpr std::uint64_t kHeld = std::bit_ceil(std::uint64_t{kPiecesAhead + 1});  // pieces

  decltype(std::declval<const F&>().fetch(std::int64_t{})) held[kHeld][kPieceIndices];
  std::uint64_t fetched = 0;  // pieces
  std::uint64_t called = 0;   // pieces

  KEYSHARD_INLINE void fetch(const F& functor, std::int64_t begin, std::int64_t end) {
    auto* to = held[fetched++ % kHeld];
    for (; begin < end; ++begin) {
      *to++ = functor.fetch(begin);
    }
  }

  KEYSHARD_INLINE void call(const F& functor, std::int64_t begin, std::int64_t end) {
    const auto* from = held[called++ % kHeld];
    for (; begin < end; ++begin) {
      functor(begin, Solo{}, *from++);
    }
  }
};

/// functor(i, Solo) for i in [begin, end), on this thread, fetching ahead. The functor is a copy:
/// the compiler keeps its fields in registers, for nothing else can change them.
template <class F>
KEYSHARD_INLINE void run_rows(std::int64_t begin, std::int64_t end, const F functor) {
  if constexpr (FetchesRanges<F> || FetchesAhead<F>) {
    const std::int64_t piece = piece_of(functor);
    Fetching<F> fetching;
    std::int64_t ahead = begin;
    const auto fetch_piece = [&] {
      const std::int64_t stop = std::min(ahead + piece, end);
      fetching.fetch(functor, ahead, stop);
      ahead = stop;
    };
    for (std::int64_t i = 0; i < kPiecesAhead; ++i) {
      fetch_piece();
    }
    while (begin < end) {
      fetch_piece();
      const std::int64_t stop = std::min(begin + piece, end);
      fetching.call(functor, begin, stop);
      begin = stop;
    }
  } else {
    for (; begin < end; ++begin) {
      functor(begin, Solo{});
    }
  }
}

/// How a lane of a team calls a functor: functor(i, team), or functor(i, team, functor.fetch(i))
/// where fetch returns something.
template <class F, class Team>
KEYSHARD_HD void call_row(const F& functor, std::int64_t i, const Team& team) {
  if constexpr (HandsOnFetched<F>) {
    functor(i, team, functor.fetch(i));
  } else {
    functor(i, team);
  }
}

/// What with_run calls with the functor of the run of index `i`.
template <class Team>
struct CallRow {
  std::int64_t i;
  const Team& team;

  template <class F>
  KEYSHARD_HD void operator()(const F& row) const {
    call_row(row, i, team);
  }
};

/// The run of index i, where run r has the indices starts[r] .. starts[r + 1].
KEYSHARD_HD inline std::int64_t run_at(const std::int64_t* starts, std::int64_t runs,
                                       std::int64_t i) {
  std::int64_t begin = 0, end = runs;  // the run lies in [begin, end)
  while (end - begin > 1) {
    const std::int64_t middle = (begin + end) / 2;
    (starts[middle] <= i ? begin : end) = middle;
  }
  return begin;
}

/// The same as call_row for a functor of several runs.
template <class F, class Team>
KEYSHARD_HD void call_run(const F& functor, const std::int64_t* starts, std::int64_t runs,
                          std::int64_t i, const Team& team) {
  functor.with_run(run_at(starts, runs, i), CallRow<Team>{i, team});
}

/// functor(i) for i in [0, n). Asynchronous on `stream`.
template <class F>
void for_each(Stream<Cpu>& stream, std::int64_t n, const F& functor) {
  stream.threads().for_shares(
      n,
      [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t i = begin; i < end; ++i) {
          functor(i);
        }
      },
      grain_of(stream, functor, 2));
}

/// functor(i, team) for i in [0, n). Asynchronous on `stream`.
template <class F>
void for_each_row(Stream<Cpu>& stream, std::int64_t n, const F& functor) {
  stream.threads().for_shares(
      n, [&](std::int64_t begin, std::int64_t end, int) { run_rows(begin, end, functor); },
      grain_of(stream, functor, 20));
}

/// Rows of several runs in one launch: run r has the indices starts[r] .. starts[r + 1], starts[0]
/// is 0 and `starts` is a host plan. functor.with_run(r, body) calls body(row) with `row`, the
/// functor of run r; for_each_run calls row(i, team) for the indices i of that run. Asynchronous on
/// `stream`.
template <class F>
void for_each_run(Stream<Cpu>& stream, Span<const std::int64_t> starts, const F& functor) {
  stream.threads().for_shares(
      starts[starts.size() - 1],
      [&](std::int64_t begin, std::int64_t end, int) {
        std::int64_t run =
            std::upper_bound(starts.begin(), starts.end(), begin) - starts.begin() - 1;
        for (; begin < end; ++run) {
          const std::int64_t stop = std::min(end, starts[run + 1]);
          if (begin < stop) {
            functor.with_run(run, [&](const auto& row) { run_rows(begin, stop, row); });
          }
          begin = std::max(begin, stop);
        }
      },
      grain_of(stream, functor, 20));
}

// The same on a CUDA device: runtime/for_each_cuda.hpp.

template <class F>
void for_each(Stream<Cuda>& stream, std::int64_t n, const F& functor);
template <class F>
void for_each_row(Stream<Cuda>& stream, std::int64_t n, const F& functor);
template <class F>
void for_each_run(Stream<Cuda>& stream, Span<const std::int64_t> starts, const F& functor);

}  // namespace keyshard
