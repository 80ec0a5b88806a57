// How numbered things (slices, shards, parameters) are dealt to ranks: rank r of P owns the run
// [rn/P, (r+1)n/P). One function for all of them. A run is cut into its maximal nodes, the largest
// aligned subtrees of the complete binary tree over the numbers; partial sums travel one per node.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "runtime/portable.hpp"

namespace keyshard {

/// Numbers [begin, end).
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  KEYSHARD_HD std::int64_t size() const { return end - begin; }

  KEYSHARD_HD bool contains(std::int64_t i) const { return begin <= i && i < end; }

  bool operator==(const Range&) const = default;
};

/// The run of [0, n) that `rank` of `ranks` owns.
KEYSHARD_HD inline Range run_of(std::int64_t rank, std::int64_t ranks, std::int64_t n) {
  return {rank * n / ranks, (rank + 1) * n / ranks};
}

/// The rank whose run holds number i: the largest r with floor(r n / P) <= i.
KEYSHARD_HD inline std::int64_t owner_of(std::int64_t i, std::int64_t ranks, std::int64_t n) {
  return ((i + 1) * ranks - 1) / n;
}

/// The maximal nodes of a run, ascending: each [begin, begin + 2^k) with begin a multiple of 2^k.
/// At most 2 log2 n.
inline std::vector<Range> nodes_of(Range run) {
  std::vector<Range> nodes;
  while (run.begin < run.end) {
    std::int64_t size = run.begin == 0 ? std::int64_t{1} << 62 : run.begin & -run.begin;
    while (size > run.end - run.begin) {
      size /= 2;
    }
    nodes.push_back({run.begin, run.begin + size});
    run.begin += size;
  }
  return nodes;
}

}  // namespace keyshard
