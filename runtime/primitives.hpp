// What algorithms over arrays are made of: sums before each element, elements that satisfy
// something, runs of equal keys, and folds per segment (stable sorts: runtime/sort_pairs.hpp). A
// result follows from the input alone, however many threads there are. Arrays are given as
// functions of the index, so that what is summed or compared need not lie in memory.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/buffer.hpp"
#include "runtime/columns.hpp"
#include "runtime/fold.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

/// sums[i] = term(0) + ... + term(i - 1) for i in [0, n]: n + 1 sums, the last one of all terms.
/// For integers, whose sums need no order. `term` is called twice for every i; it may read sums[i].
template <class T, class Term>
void scan(Stream<Cpu>& stream, std::int64_t n, const Term& term, T* sums) {
  std::vector<T> starts(static_cast<std::size_t>(stream.threads().size()) + 1);
  stream.threads().for_shares(n, [&](std::int64_t begin, std::int64_t end, int thread) {
    T sum{};
    for (std::int64_t i = begin; i < end; ++i) {
      sum += term(i);
    }
    starts[static_cast<std::size_t>(thread) + 1] = sum;
  });
  for (std::size_t thread = 1; thread < starts.size(); ++thread) {
    starts[thread] += starts[thread - 1];
  }
  stream.threads().for_shares(n, [&](std::int64_t begin, std::int64_t end, int thread) {
    T sum = starts[static_cast<std::size_t>(thread)];
    for (std::int64_t i = begin; i < end; ++i) {
      const T value = term(i);
      sums[i] = sum;
      sum += value;
    }
  });
  sums[n] = starts.back();
}

/// The numbers i of [0, n), at most 2^32, for which chosen(i) holds, ascending. `chosen` is called
/// twice for every i.
template <class Chosen>
Buffer<std::uint32_t, Cpu> select(Stream<Cpu>& stream, std::int64_t n, const Chosen& chosen) {
  std::vector<std::int64_t> places(static_cast<std::size_t>(stream.threads().size()));
  stream.threads().for_shares(n, [&](std::int64_t begin, std::int64_t end, int thread) {
    std::int64_t count = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      count += chosen(i) ? 1 : 0;
    }
    places[static_cast<std::size_t>(thread)] = count;
  });
  std::int64_t size = 0;
  for (std::int64_t& place : places) {
    size += std::exchange(place, size);
  }
  Buffer<std::uint32_t, Cpu> selected(stream, size);
  stream.threads().for_shares(n, [&](std::int64_t begin, std::int64_t end, int thread) {
    std::int64_t place = places[static_cast<std::size_t>(thread)];
    for (std::int64_t i = begin; i < end; ++i) {
      if (chosen(i)) {
        selected[place++] = static_cast<std::uint32_t>(i);
      }
    }
  });
  return selected;
}

/// The first elements of the runs of equal key(i), i in [0, n): one of each key where keys are
/// sorted.
template <class KeyOf>
Buffer<std::uint32_t, Cpu> unique(Stream<Cpu>& stream, std::int64_t n, const KeyOf& key) {
  return select(stream, n, [&](std::int64_t i) { return i == 0 || key(i) != key(i - 1); });
}

/// Folds segment s: out + s * dim gets the sum of terms offsets[s] .. offsets[s + 1], nothing if
/// there are none. term(k) points to the `dim` numbers of a term; number(k) is its slice or shard,
/// ascending in a segment: terms of one number are added in their order, those of several as `Fold`
/// says.
template <int kColumns, class T, class Number, class Term>
struct FoldSegment {
  const std::uint32_t* offsets;
  std::int64_t dim;
  Number number;
  Term term;
  T* out;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t s, const Team& team) const {
    for_columns<kColumns>(team, dim, [&](std::int64_t first, auto width) {
      T stack[Fold<T>::kDepth * kColumns];
      Fold fold(stack, width);
      fold_terms(fold, offsets[s], offsets[s + 1], number,
                 [&](std::int64_t k, T* sum, bool starts) {
                   const T* from = term(k) + first;
                   for (std::int64_t d = 0; d < width; ++d) {
                     sum[d] = starts ? from[d] : sum[d] + from[d];
                   }
                 });
      const T* sum = fold.finish(Solo{});
      if (sum != nullptr) {
        for (std::int64_t d = 0; d < width; ++d) {
          out[s * dim + first + d] = sum[d];
        }
      }
    });
  }
};

/// FoldSegment for segments [0, n); offsets [n + 1].
template <class T, class Number, class Term>
void fold_segments(Stream<Cpu>& stream, std::int64_t n, const std::uint32_t* offsets,
                   std::int64_t dim, const Number& number, const Term& term, T* out) {
  for_each_row(stream, n, FoldSegment<32, T, Number, Term>{offsets, dim, number, term, out});
}

}  // namespace keyshard
