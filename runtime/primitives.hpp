// What algorithms over arrays are made of: sums, sums before each element, elements that satisfy
// something, and elements by bucket (folds: runtime/fold.hpp; stable sorts:
// runtime/sort_pairs.hpp). A result follows from the input alone, however many threads there are.
// Arrays are given as functors of the index, so that what is summed or compared need not lie in
// memory.
//
// Where runs are told apart, `starts` is a host plan: run r has the indices starts[r] .. starts[r +
// 1], and functor.with_run(r, body) calls body(term) with the functor of the terms of that run. The
// bodies for a CPU stand here; those for a CUDA device are declared at the end.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/buffer.hpp"
#include "runtime/copy.hpp"
#include "runtime/for_each.hpp"
#include "runtime/sort_pairs.hpp"

namespace keyshard {

/// Indices of [0, n), those of a run or bucket one after another.
template <Backend B>
struct Selection {
  Buffer<std::uint32_t, B> indices;
  std::vector<std::int64_t> starts;  ///< [runs + 1] where the indices of a run start

  std::int64_t size() const { return indices.size(); }
};

/// Where runs of given sizes start, one after another; the last entry is their end.
inline std::vector<std::int64_t> starts_of(const std::vector<std::int64_t>& sizes) {
  std::vector<std::int64_t> starts{0};
  for (const std::int64_t size : sizes) {
    starts.push_back(starts.back() + size);
  }
  return starts;
}

/// Calls body(run, begin, end, term) for the pieces of runs in [begin, end).
template <class F, class Body>
void for_pieces(Span<const std::int64_t> starts, const F& functor, std::int64_t begin,
                std::int64_t end, const Body& body) {
  std::int64_t run = std::upper_bound(starts.begin(), starts.end(), begin) - starts.begin() - 1;
  for (; begin < end; ++run) {
    const std::int64_t stop = std::min(end, starts[run + 1]);
    if (begin < stop) {
      functor.with_run(run, [&](const auto& term) { body(run, begin, stop, term); });
      begin = stop;
    }
  }
}

/// sums[i] = term(0) + ... + term(i - 1) for i in [0, n]: n + 1 sums, the last one of all terms.
/// For integers, whose sums need no order. `term` is called twice for every i; term(i) may read
/// sums[i].
template <class T, class Term>
void scan(Stream<Cpu>& stream, std::int64_t n, const Term& term, T* sums) {
  std::vector<T> starts(static_cast<std::size_t>(stream.threads().size()) + 1);
  const std::int64_t grain = grain_of(stream, term, 2);
  const auto add = [&](std::int64_t begin, std::int64_t end, int share) {
    T sum{};
    for (std::int64_t i = begin; i < end; ++i) {
      sum += term(i);
    }
    starts[static_cast<std::size_t>(share) + 1] = sum;
  };
  stream.threads().for_shares(n, add, grain);
  for (std::size_t share = 1; share < starts.size(); ++share) {
    starts[share] += starts[share - 1];
  }
  const auto write = [&](std::int64_t begin, std::int64_t end, int share) {
    T sum = starts[static_cast<std::size_t>(share)];
    for (std::int64_t i = begin; i < end; ++i) {
      const T value = term(i);
      sums[i] = sum;
      sum += value;
    }
  };
  stream.threads().for_shares(n, write, grain);
  sums[n] = starts.back();
}

/// The sum of each run, and what a second pass needs to go on from it.
template <Backend B>
struct RunSums;

template <>
struct RunSums<Cpu> {
  std::vector<std::int64_t> of_runs;
  std::vector<std::vector<std::int64_t>> before = {};  ///< [shares][runs] sums of the shares before
  std::int64_t grain = 1;                              ///< which decides the shares
};

template <>
struct RunSums<Cuda> {
  std::vector<std::int64_t> of_runs;
  Buffer<std::int64_t, Cuda> before = {};  ///< [indices + 1] sums of all indices before
};

/// Sums the terms of each run. The term of every i is called once, and may write what belongs to i.
/// For integers. Waits, so that the host may decide by the sums what `finish_sums` writes.
template <class F>
RunSums<Cpu> begin_sums(Stream<Cpu>& stream, Span<const std::int64_t> starts, const F& functor) {
  const auto runs = static_cast<std::size_t>(starts.size() - 1);
  const auto shares = static_cast<std::size_t>(stream.threads().size());
  RunSums<Cpu> sums{std::vector<std::int64_t>(runs),
                    {shares, std::vector<std::int64_t>(runs)},
                    grain_of(stream, functor, 2)};
  const auto add = [&](std::int64_t begin, std::int64_t end, int share) {
    for_pieces(starts, functor, begin, end,
               [&](std::int64_t run, std::int64_t i, std::int64_t stop, const auto& term) {
                 std::int64_t sum = 0;
                 for (; i < stop; ++i) {
                   sum += term(i);
                 }
                 sums.before[static_cast<std::size_t>(share)][static_cast<std::size_t>(run)] = sum;
               });
  };
  stream.threads().for_shares(starts[starts.size() - 1], add, sums.grain);
  for (std::vector<std::int64_t>& share : sums.before) {
    for (std::size_t run = 0; run < runs; ++run) {
      share[run] = std::exchange(sums.of_runs[run], sums.of_runs[run] + share[run]);
    }
  }
  return sums;
}

/// Goes over the same runs once more and calls term(i, before) for every i, where `before` is the
/// sum of the terms of its run before i. The call returns the term of i that `begin_sums` found.
template <class F>
void finish_sums(Stream<Cpu>& stream, Span<const std::int64_t> starts, const RunSums<Cpu>& sums,
                 const F& functor) {
  const auto write = [&](std::int64_t begin, std::int64_t end, int share) {
    for_pieces(starts, functor, begin, end,
               [&](std::int64_t run, std::int64_t i, std::int64_t stop, const auto& term) {
                 std::int64_t before =
                     sums.before[static_cast<std::size_t>(share)][static_cast<std::size_t>(run)];
                 for (; i < stop; ++i) {
                   before += term(i, before);
                 }
               });
  };
  stream.threads().for_shares(starts[starts.size() - 1], write, sums.grain);
}

/// The sum of the terms of each run, on the host. For integers. Waits.
template <Backend B, class F>
std::vector<std::int64_t> sum_runs(Stream<B>& stream, Span<const std::int64_t> starts,
                                   const F& functor) {
  return std::move(begin_sums(stream, starts, functor).of_runs);
}

/// A functor of rows that adds up what the rows return.
template <class Row>
struct AddRows {
  Row row;
  std::int64_t* sum;

  auto fetched() const requires requires(const Row& r) { r.fetched(); }

  { return row.fetched(); }

  auto fetch(std::int64_t i) const requires FetchesAhead<Row> { return row.fetch(i); }

  template <class... Fetched>
  void operator()(std::int64_t i, const Solo& team, const Fetched&... fetched) const {
    *sum += row(i, team, fetched...);
  }
};

/// Functors of rows that count something in what a block of rows has written: after(begin, end).
template <class Row>
concept CountsAfter = requires(const Row& row) {
  row.after(std::int64_t{}, std::int64_t{});
};

/// The rows [begin, end) of a run, and the sum of what they return or count.
template <class Row>
std::int64_t run_and_sum(std::int64_t begin, std::int64_t end, const Row& row) {
  std::int64_t sum = 0;
  if constexpr (CountsAfter<Row>) {
    // What a block has written is in the cache yet when it is counted.
    for (const std::int64_t block = 32 * piece_of(row); begin < end; begin += block) {
      const std::int64_t stop = std::min(begin + block, end);
      run_rows(begin, stop, row);
      sum += row.after(begin, stop);
    }
  } else {
    run_rows(begin, end, AddRows<Row>{row, &sum});
  }
  return sum;
}

/// for_each_run (runtime/for_each.hpp) with the sum of each run, on the host: of the integers that
/// the rows return, of which the lanes of a team return parts; or, where rows offer after(begin,
/// end), of what that counts after the rows of a block. Waits.
template <class F>
std::vector<std::int64_t> sum_rows(Stream<Cpu>& stream, Span<const std::int64_t> starts,
                                   const F& functor) {
  const auto runs = static_cast<std::size_t>(starts.size() - 1);
  std::vector<std::vector<std::int64_t>> parts(static_cast<std::size_t>(stream.threads().size()),
                                               std::vector<std::int64_t>(runs));
  const auto add = [&](std::int64_t begin, std::int64_t end, int share) {
    for_pieces(starts, functor, begin, end,
               [&](std::int64_t run, std::int64_t i, std::int64_t stop, const auto& row) {
                 parts[static_cast<std::size_t>(share)][static_cast<std::size_t>(run)] =
                     run_and_sum(i, stop, row);
               });
  };
  stream.threads().for_shares(starts[starts.size() - 1], add, grain_of(stream, functor, 20));
  for (std::size_t share = 1; share < parts.size(); ++share) {
    std::transform(parts[share].begin(), parts[share].end(), parts[0].begin(), parts[0].begin(),
                   std::plus<>());
  }
  return std::move(parts[0]);
}

/// Writes the chosen indices, those of a run one after another.
template <class F>
struct WriteChosen {
  template <class Chosen>
  struct Term {
    Chosen chosen;
    std::uint32_t* indices;  ///< of the run

    KEYSHARD_HD bool operator()(std::int64_t i, std::int64_t before) const {
      const bool is_chosen = chosen(i);
      if (is_chosen) {
        indices[before] = static_cast<std::uint32_t>(i);
      }
      return is_chosen;
    }
  };

  template <class Body>
  struct Call {
    const Body& body;
    std::uint32_t* indices;

    template <class Chosen>
    KEYSHARD_HD void operator()(const Chosen& chosen) const {
      body(Term<Chosen>{chosen, indices});
    }
  };

  F functor;
  const std::int64_t* starts;  ///< of the runs in `indices`
  std::uint32_t* indices;

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t run, const Body& body) const {
    functor.with_run(run, Call<Body>{body, indices + starts[run]});
  }
};

/// The indices i (at most 2^32 in all) for which the term of i is true, ascending, and where those
/// of each run start. The term of every i is called twice. Waits.
template <Backend B, class F>
Selection<B> select_runs(Stream<B>& stream, Span<const std::int64_t> starts, const F& functor) {
  const RunSums<B> sums = begin_sums(stream, starts, functor);
  Selection<B> selection{{}, starts_of(sums.of_runs)};
  selection.indices = {stream, selection.starts.back()};
  if (selection.size() > 0) {
    Buffer<std::int64_t, B> storage;
    const std::int64_t* places =
        device_view(stream, Span<const std::int64_t>(selection.starts), storage);
    finish_sums(stream, starts, sums, WriteChosen<F>{functor, places, selection.indices.data()});
  }
  return selection;
}

/// The indices of [0, n), n at most 2^32, grouped by bucket(i) in [0, buckets), ascending in each
/// bucket; `buckets` is as small as a host plan. Waits.
template <class Bucket>
Selection<Cpu> group_by(Stream<Cpu>& stream, std::int64_t n, std::int64_t buckets,
                        const Bucket& bucket) {
  std::vector<std::vector<std::int64_t>> places(
      static_cast<std::size_t>(stream.threads().size()),
      std::vector<std::int64_t>(static_cast<std::size_t>(buckets)));
  const std::int64_t grain = grain_of(stream, bucket, 2);
  const auto count = [&](std::int64_t begin, std::int64_t end, int share) {
    for (std::int64_t i = begin; i < end; ++i) {
      ++places[static_cast<std::size_t>(share)][static_cast<std::size_t>(bucket(i))];
    }
  };
  stream.threads().for_shares(n, count, grain);
  Selection<Cpu> selection{{stream, n}, place_counts(places)};
  std::uint32_t* indices = selection.indices.data();
  const auto write = [&](std::int64_t begin, std::int64_t end, int share) {
    for (std::int64_t i = begin; i < end; ++i) {
      indices[places[static_cast<std::size_t>(share)][static_cast<std::size_t>(bucket(i))]++] =
          static_cast<std::uint32_t>(i);
    }
  };
  stream.threads().for_shares(n, write, grain);
  return selection;
}

/// The largest term(i) for i in [0, n), or 0 where none is larger. For integers. Waits.
template <class Term>
std::int64_t largest(Stream<Cpu>& stream, std::int64_t n, const Term& term) {
  std::vector<std::int64_t> of_shares(static_cast<std::size_t>(stream.threads().size()));
  const auto look = [&](std::int64_t begin, std::int64_t end, int share) {
    std::int64_t most = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      most = std::max<std::int64_t>(most, term(i));
    }
    of_shares[static_cast<std::size_t>(share)] = most;
  };
  stream.threads().for_shares(n, look, grain_of(stream, term, 2));
  return *std::max_element(of_shares.begin(), of_shares.end());
}

/// Makes a functor of terms the functor of a single run.
template <class F>
struct OneRun {
  F functor;

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t /*run*/, const Body& body) const {
    body(functor);
  }
};

/// The sum of term(i) for i in [0, n). For integers. Waits.
template <Backend B, class Term>
std::int64_t sum(Stream<B>& stream, std::int64_t n, const Term& term) {
  const std::int64_t starts[] = {0, n};
  return sum_runs(stream, starts, OneRun<Term>{term})[0];
}

/// The indices i of [0, n), n at most 2^32, for which chosen(i) holds, ascending. Waits.
template <Backend B, class Chosen>
Buffer<std::uint32_t, B> select(Stream<B>& stream, std::int64_t n, const Chosen& chosen) {
  const std::int64_t starts[] = {0, n};
  return std::move(select_runs(stream, starts, OneRun<Chosen>{chosen}).indices);
}

/// Whether element i is the first of a run of equal key(i).
template <class KeyOf>
struct StartsRun {
  KeyOf key;

  KEYSHARD_HD bool operator()(std::int64_t i) const { return i == 0 || key(i) != key(i - 1); }
};

/// The indices i of [0, n) at which a run of equal key(i) starts: one index per key where keys are
/// sorted. Waits.
template <Backend B, class KeyOf>
Buffer<std::uint32_t, B> unique(Stream<B>& stream, std::int64_t n, const KeyOf& key) {
  return select(stream, n, StartsRun<KeyOf>{key});
}

// The same on a CUDA device: runtime/primitives_cuda.hpp.

template <class T, class Term>
void scan(Stream<Cuda>& stream, std::int64_t n, const Term& term, T* sums);
template <class F>
RunSums<Cuda> begin_sums(Stream<Cuda>& stream, Span<const std::int64_t> starts, const F& functor);
template <class F>
void finish_sums(Stream<Cuda>& stream, Span<const std::int64_t> starts, const RunSums<Cuda>& sums,
                 const F& functor);
template <class F>
std::vector<std::int64_t> sum_rows(Stream<Cuda>& stream, Span<const std::int64_t> starts,
                                   const F& functor);
template <class Term>
std::int64_t largest(Stream<Cuda>& stream, std::int64_t n, const Term& term);
template <class Bucket>
Selection<Cuda> group_by(Stream<Cuda>& stream, std::int64_t n, std::int64_t buckets,
                         const Bucket& bucket);

}  // namespace keyshard
