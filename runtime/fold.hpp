// The one way to add across slices or shards: in the shape of the complete binary tree over their
// numbers, absent terms skipped and not added as zero. So the sum does not depend on which ranks or
// threads hold which numbers: a fold of folds over nodes of the tree gives the same bits.
#pragma once

#include <bit>
#include <cstdint>

#include "runtime/portable.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// The level of the tree at which a != b part: the highest bit in which the two differ.
KEYSHARD_HD inline int fold_level(std::uint64_t a, std::uint64_t b) {
  return 63 - std::countl_zero(a ^ b);
}

/// The numbers of slices and shards that a Fold takes lie below.
inline constexpr std::int64_t kMostSlices = 2048;

/// Whether the terms of three ascending numbers fold as (a + b) + c and not as a + (b + c). Terms
/// of one number are added in their order. For a < b < c, the levels at which a, b and b, c part
/// differ, and the higher level has the larger exclusive or.
KEYSHARD_HD inline bool folds_left(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  return (a ^ b) <= (b ^ c);
}

/// The usual merge of a fold. Combiners bring their own for their states.
template <class T>
struct AddTerms {
  KEYSHARD_HD static T merge(T a, T b) { return a + b; }
};

/// Adds vectors of `dim` elements, given in the order of their slice or shard numbers. `stack`
/// [kDepth x dim] is scratch that belongs to this fold alone; `Dim` is std::int64_t or a
/// FixedWidth. Each lane of a team works on its own columns: lane, lane + lanes of the team, ...
///
/// Invariants
/// (1) The stack holds sums of subtrees, ascending; levels_[k] is where stack entry k parts from
/// entry k - 1. (2) Levels decrease strictly from the bottom of the stack to its top, so its depth
/// is at most log2 n + 1.
template <class T, class Merge = AddTerms<T>, class Dim = std::int64_t>
class Fold {
 public:
  static constexpr int kDepth = 12;  // log2(kMostSlices) + 1

  KEYSHARD_HD Fold(T* stack, Dim dim) : stack_(stack), dim_(dim) {}

  /// Opens the term of `number`, which must be larger than the last one. Returns the place [dim] of
  /// the term, uninitialised: the caller writes it.
  template <class Team>
  KEYSHARD_HD T* push(const Team& team, std::int64_t number) {
    if (size_ > 0) {
      const int level =
          fold_level(static_cast<std::uint64_t>(last_), static_cast<std::uint64_t>(number));
      while (size_ > 1 && levels_[size_ - 1] < level) {
        collapse(team);
      }
      levels_[size_] = level;
    }
    last_ = number;
    return stack_ + dim_ * size_++;
  }

  /// The sum of all terms, at the bottom of the stack; the fold is empty again. Null if there was
  /// no term.
  template <class Team>
  KEYSHARD_HD T* finish(const Team& team) {
    if (size_ == 0) {
      return nullptr;
    }
    while (size_ > 1) {
      collapse(team);
    }
    size_ = 0;
    return stack_;
  }

  KEYSHARD_HD bool empty() const { return size_ == 0; }

  /// Whether the newest term is that of `number`, so that the caller can add to it in place, at
  /// top().
  KEYSHARD_HD bool continues(std::int64_t number) const { return size_ > 0 && last_ == number; }

  KEYSHARD_HD T* top() { return stack_ + dim_ * (size_ - 1); }

 private:
  template <class Team>
  KEYSHARD_HD void collapse(const Team& team) {
    --size_;
    T* KEYSHARD_RESTRICT left = stack_ + dim_ * (size_ - 1);
    const T* KEYSHARD_RESTRICT right = stack_ + dim_ * size_;
    for (std::int64_t d = team.thread_rank(); d < dim_; d += team.num_threads()) {
      left[d] = Merge::merge(left[d], right[d]);
    }
  }

  T* stack_;
  [[no_unique_address]] Dim dim_;
  std::int64_t last_ = 0;
  int size_ = 0;
  int levels_[kDepth];
};

template <class T, class Dim>
Fold(T*, Dim) -> Fold<T, AddTerms<T>, Dim>;

/// Gives the terms [begin, end) to a fold: put(k, sum, starts) writes term k to `sum` where
/// `starts`, else adds term k to `sum`, the sum so far of number(k). So terms of one number are
/// added in their order. Numbers ascend.
template <class AnyFold, class Number, class Put>
KEYSHARD_HD KEYSHARD_INLINE void fold_terms(AnyFold& fold, std::int64_t begin, std::int64_t end,
                                            const Number& number, const Put& put) {
  for (std::int64_t k = begin; k < end; ++k) {
    const std::int64_t of_term = number(k);
    const bool starts = !fold.continues(of_term);
    put(k, starts ? fold.push(Solo{}, of_term) : fold.top(), starts);
  }
}

}  // namespace keyshard
