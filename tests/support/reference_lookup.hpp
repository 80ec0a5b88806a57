// The lookup and its gradients written from the definition: in one thread, with maps and recursion.
// The library must give the same bits on any number of ranks and threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/portable.hpp"

namespace keyshard::testing {

using Vector = std::vector<float>;

/// A fold by its recursive definition: the sum over [begin, begin + size) is that of its halves, an
/// absent half skipped.
template <class T, class Merge>
std::optional<T> tree_fold(const std::map<std::int64_t, T>& terms, std::int64_t begin,
                           std::int64_t size, const Merge& merge) {
  const auto first = terms.lower_bound(begin);
  if (first == terms.end() || first->first >= begin + size) {
    return std::nullopt;
  }
  if (size == 1) {
    return first->second;
  }
  const auto left = tree_fold(terms, begin, size / 2, merge);
  const auto right = tree_fold(terms, begin + size / 2, size / 2, merge);
  return left && right ? merge(*left, *right) : left ? left : right;
}

inline Vector add_vectors(const Vector& a, const Vector& b) {
  Vector sum(a.size());
  for (std::size_t d = 0; d < a.size(); ++d) {
    sum[d] = a[d] + b[d];
  }
  return sum;
}

/// One bag of a feature: its ids, and what the combiner makes of their rows.
struct ReferencePooling {
  std::string combiner;
  bool by_shard = false;
  std::function<std::uint32_t(Key)> shard;
  std::function<Vector(Key)> row;

  Vector value(const std::vector<Key>& bag, std::size_t dim) const;
  /// The gradient of the row of each id of the bag, in the order of the bag.
  std::vector<Vector> gradients(const std::vector<Key>& bag, const Vector& upstream) const;

 private:
  Vector sum(const std::vector<Key>& bag) const;
};

}  // namespace keyshard::testing
