// Folds of long vectors, element by element: the terms of a sum are whole vectors that lie anywhere
// on the device, each with its slice or shard number. Which terms there are is a plan of the host.
#pragma once

#include <cstdint>
#include <type_traits>

#include "runtime/buffer.hpp"
#include "runtime/copy.hpp"
#include "runtime/fold.hpp"
#include "runtime/for_each.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

/// A vector in device memory, borrowed, and its slice or shard number.
template <class T>
struct VectorTerm {
  std::int64_t number = 0;
  const T* data = nullptr;
};

/// Index i folds block i % blocks of the elements of sum i / blocks, into sums [number of sums x
/// size]. The terms of sum s are offsets[s] .. offsets[s + 1], ascending in their slice or shard
/// numbers; a sum without terms is 0. Every element has a fold of its own: the bits do not depend
/// on how elements are cut into blocks and lanes.
template <class T>
struct FoldVectors {
  /// Elements of a block. A lane that is alone folds the block as one, in a stack that the
  /// first-level cache holds; lanes of a team take one element at a time, so that neighbouring
  /// lanes read neighbouring elements.
  static constexpr std::int64_t kBlock = 512;

  const VectorTerm<T>* terms;
  const std::int64_t* offsets;
  std::int64_t size;
  std::int64_t blocks;        ///< of a sum
  std::int64_t terms_of_sum;  ///< on average
  T* sums;

  std::int64_t work() const { return kBlock * terms_of_sum / 8; }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    constexpr std::int64_t kTogether = std::is_same_v<Team, Solo> ? kBlock : 1;
    const std::int64_t sum = i / blocks, begin = i % blocks * kBlock;
    const std::int64_t end = begin + kBlock < size ? begin + kBlock : size;
    for (std::int64_t first = begin + kTogether * team.thread_rank(); first < end;
         first += kTogether * team.num_threads()) {
      const std::int64_t width = end - first < kTogether ? end - first : kTogether;
      T stack[Fold<T>::kDepth * kTogether];
      Fold<T> fold(stack, width);
      for (std::int64_t k = offsets[sum]; k < offsets[sum + 1]; ++k) {
        const T* KEYSHARD_RESTRICT from = terms[k].data + first;
        T* KEYSHARD_RESTRICT to = fold.push(Solo{}, terms[k].number);
        for (std::int64_t d = 0; d < width; ++d) {
          to[d] = from[d];
        }
      }
      const T* result = fold.finish(Solo{});
      T* to = sums + sum * size + first;
      for (std::int64_t d = 0; d < width; ++d) {
        to[d] = result == nullptr ? T{0} : result[d];
      }
    }
  }
};

/// Folds `terms` into sums [s x size], s = offsets.size() - 1. The terms of sum i are offsets[i] ..
/// offsets[i + 1], ascending in their slice or shard numbers; a sum without terms is 0. One launch.
template <class T, Backend B>
void fold_vectors(Stream<B>& stream, Span<const VectorTerm<T>> terms,
                  Span<const std::int64_t> offsets, std::int64_t size, T* sums) {
  const Buffer<VectorTerm<T>, B> device_terms = to_device(stream, terms);
  const Buffer<std::int64_t, B> device_offsets = to_device(stream, offsets);
  const std::int64_t blocks = (size + FoldVectors<T>::kBlock - 1) / FoldVectors<T>::kBlock;
  const auto sum_count = static_cast<std::int64_t>(offsets.size()) - 1;
  const std::int64_t terms_of_sum =
      static_cast<std::int64_t>(terms.size()) / (sum_count > 0 ? sum_count : 1);
  for_each_row(
      stream, sum_count * blocks,
      FoldVectors<T>{device_terms.data(), device_offsets.data(), size, blocks, terms_of_sum, sums});
}

}  // namespace keyshard
