// The primitives of a CUDA device (runtime/primitives.hpp), made of launches and of CUB's
// algorithms.
#pragma once

#include <bit>

#include "runtime/cub.hpp"
#include "runtime/for_each_cuda.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

/// values[i] = term(i).
template <class T, class Term>
struct WriteTerm {
  Term term;
  T* values;

  KEYSHARD_HD void operator()(std::int64_t i) const { values[i] = static_cast<T>(term(i)); }
};

template <class T, class Term>
void scan(Stream<Cuda>& stream, std::int64_t n, const Term& term, T* sums) {
  for_each(stream, n, WriteTerm<T, Term>{term, sums});
  sums_before(stream, sums, n);
}

/// values[i] = the term of i.
template <class F>
struct WriteTermOfRun {
  struct Write {
    std::int64_t i;
    std::int64_t* value;

    template <class Term>
    KEYSHARD_HD void operator()(const Term& term) const {
      *value = static_cast<std::int64_t>(term(i));
    }
  };

  const std::int64_t* starts;
  std::int64_t runs;
  F functor;
  std::int64_t* values;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    functor.with_run(run_at(starts, runs, i), Write{i, values + i});
  }
};

/// Calls the term of i with the sum of the terms before it in its run.
template <class F>
struct FinishTermOfRun {
  struct Finish {
    std::int64_t i;
    std::int64_t before;

    template <class Term>
    KEYSHARD_HD void operator()(const Term& term) const {
      term(i, before);
    }
  };

  const std::int64_t* starts;
  std::int64_t runs;
  F functor;
  const std::int64_t* before;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const std::int64_t run = run_at(starts, runs, i);
    functor.with_run(run, Finish{i, before[i] - before[starts[run]]});
  }
};

/// out[run] = before[starts[run + 1]] - before[starts[run]].
struct SumOfRun {
  const std::int64_t* starts;
  const std::int64_t* before;
  std::int64_t* out;

  KEYSHARD_HD void operator()(std::int64_t run) const {
    out[run] = before[starts[run + 1]] - before[starts[run]];
  }
};

/// The sums of runs whose terms are values [n + 1], which become the sums before each of them.
inline RunSums<Cuda> sum_values(Stream<Cuda>& stream, Span<const std::int64_t> starts,
                                const std::int64_t* device_starts,
                                Buffer<std::int64_t, Cuda> values) {
  const std::int64_t runs = starts.size() - 1;
  sums_before(stream, values.data(), values.size() - 1);
  Buffer<std::int64_t, Cuda> sums(stream, runs);
  for_each(stream, runs, SumOfRun{device_starts, values.data(), sums.data()});
  return {to_host(stream, sums), std::move(values)};
}

template <class F>
RunSums<Cuda> begin_sums(Stream<Cuda>& stream, Span<const std::int64_t> starts, const F& functor) {
  const std::int64_t runs = starts.size() - 1, n = starts[runs];
  Buffer<std::int64_t, Cuda> storage, values(stream, n + 1);
  const std::int64_t* device_starts = device_view(stream, starts, storage);
  fill_zero(stream, values.data(), n);  // for runs whose functor has no terms
  for_each(stream, n, WriteTermOfRun<F>{device_starts, runs, functor, values.data()});
  return sum_values(stream, starts, device_starts, std::move(values));
}

template <class F>
void finish_sums(Stream<Cuda>& stream, Span<const std::int64_t> starts, const RunSums<Cuda>& sums,
                 const F& functor) {
  const std::int64_t runs = starts.size() - 1;
  Buffer<std::int64_t, Cuda> storage;
  const std::int64_t* device_starts = device_view(stream, starts, storage);
  for_each(stream, starts[runs],
           FinishTermOfRun<F>{device_starts, runs, functor, sums.before.data()});
}

/// Makes a row write to values[i] what it returns, added up over the lanes of its team, or what it
/// counts after its work.
template <class Row>
struct CountRow {
  Row row;
  std::int64_t* values;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    std::int64_t count = 0;
    if constexpr (CountsAfter<Row>) {
      call_row(row, i, team);
      team.sync();  // lanes have written what is counted
      count = team.thread_rank() == 0 ? row.after(i, i + 1) : 0;
    } else if constexpr (HandsOnFetched<Row>) {
      count = added(team, static_cast<std::int64_t>(row(i, team, row.fetch(i))));
    } else {
      count = added(team, static_cast<std::int64_t>(row(i, team)));
    }
    if (team.thread_rank() == 0) {
      values[i] = count;
    }
  }

 private:
  /// The sum over all lanes, in lane 0.
  template <class Team>
  KEYSHARD_HD static std::int64_t added(const Team& team, std::int64_t part) {
    for (int step = static_cast<int>(team.num_threads()) / 2; step > 0; step /= 2) {
      const int other = static_cast<int>(team.thread_rank()) + step;
      part += team.shfl(part, other % static_cast<int>(team.num_threads()));
    }
    return part;
  }
};

template <class F>
struct CountRows {
  static constexpr int kTeamWidth = team_width<F>();

  template <class Body>
  struct Call {
    const Body& body;
    std::int64_t* values;

    template <class Row>
    KEYSHARD_HD void operator()(const Row& row) const {
      body(CountRow<Row>{row, values});
    }
  };

  F functor;
  std::int64_t* values;

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t run, const Body& body) const {
    functor.with_run(run, Call<Body>{body, values});
  }
};

template <class F>
std::vector<std::int64_t> sum_rows(Stream<Cuda>& stream, Span<const std::int64_t> starts,
                                   const F& functor) {
  Buffer<std::int64_t, Cuda> storage, values(stream, starts[starts.size() - 1] + 1);
  fill_zero(stream, values.data(), values.size());  // for runs whose functor has no rows
  for_each_run(stream, starts, CountRows<F>{functor, values.data()});
  return sum_values(stream, starts, device_view(stream, starts, storage), std::move(values))
      .of_runs;
}

template <class Term>
std::int64_t largest(Stream<Cuda>& stream, std::int64_t n, const Term& term) {
  Buffer<std::int64_t, Cuda> values(stream, n);
  for_each(stream, n, WriteTerm<std::int64_t, Term>{term, values.data()});
  return largest_value(stream, values.data(), n);
}

/// Where elements of each bucket start among those that are sorted by bucket.
struct StartOfBucket {
  const std::uint32_t* buckets;  ///< [n], ascending
  std::int64_t n;
  std::int64_t* starts;

  KEYSHARD_HD void operator()(std::int64_t bucket) const {
    std::int64_t begin = 0, end = n;  // the first element of `bucket` or more lies in [begin, end]
    while (begin < end) {
      const std::int64_t middle = (begin + end) / 2;
      if (static_cast<std::int64_t>(buckets[middle]) < bucket) {
        begin = middle + 1;
      } else {
        end = middle;
      }
    }
    starts[bucket] = begin;
  }
};

/// indices[i] = i.
struct WriteIndex {
  std::uint32_t* indices;

  KEYSHARD_HD void operator()(std::int64_t i) const { indices[i] = static_cast<std::uint32_t>(i); }
};

template <class Bucket>
Selection<Cuda> group_by(Stream<Cuda>& stream, std::int64_t n, std::int64_t buckets,
                         const Bucket& bucket) {
  Buffer<std::uint32_t, Cuda> keys(stream, n);
  Selection<Cuda> selection{{stream, n}, {}};
  for_each(stream, n, WriteTerm<std::uint32_t, Bucket>{bucket, keys.data()});
  for_each(stream, n, WriteIndex{selection.indices.data()});
  sort_by_key(stream, keys, selection.indices,
              static_cast<int>(std::bit_width(static_cast<std::uint64_t>(buckets))));
  Buffer<std::int64_t, Cuda> starts(stream, buckets + 1);
  for_each(stream, buckets + 1, StartOfBucket{keys.data(), n, starts.data()});
  selection.starts = to_host(stream, starts);
  return selection;
}

template <class Pair>
struct KeyOfPair {
  const Pair* pairs;

  KEYSHARD_HD auto operator()(std::int64_t i) const { return pairs[i].key; }
};

/// to [n] = from [n] in the order of `places`.
template <class Pair>
struct MovePair {
  const Pair* from;
  const std::uint32_t* places;
  Pair* to;

  KEYSHARD_HD void operator()(std::int64_t i) const { to[i] = from[places[i]]; }
};

template <class Pair>
void sort_pairs(Stream<Cuda>& stream, Span<Pair> pairs) {
  using SortKey = decltype(Pair::key);
  const std::int64_t n = pairs.size();
  Buffer<SortKey, Cuda> keys(stream, n);
  Buffer<std::uint32_t, Cuda> places(stream, n);
  Buffer<Pair, Cuda> before(stream, n);
  copy(stream, pairs.data(), n, before.data());
  for_each(stream, n, WriteTerm<SortKey, KeyOfPair<Pair>>{{before.data()}, keys.data()});
  for_each(stream, n, WriteIndex{places.data()});
  sort_by_key(stream, keys, places, 8 * static_cast<int>(sizeof(SortKey)));
  for_each(stream, n, MovePair<Pair>{before.data(), places.data(), pairs.data()});
}

}  // namespace keyshard
