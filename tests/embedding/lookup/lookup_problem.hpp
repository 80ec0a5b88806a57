// A global batch for a lookup, and what must come out of it by the definition.
#pragma once

#include <map>
#include <vector>

#include "embedding/layers/options.hpp"
#include "runtime/portable.hpp"
#include "tests/support/reference_lookup.hpp"

namespace keyshard::testing {

/// A global batch: bag f of sample b, and the upstream gradient of each group.
struct Problem {
  std::int64_t slices = 8;
  std::vector<std::int64_t> slice_samples;  // samples of each slice
  std::vector<TableOptions> tables;
  std::vector<FeatureOptions> features;
  std::vector<std::vector<Key>> bags;
  std::vector<std::vector<Vector>> upstream;  // [group][sample] -> columns

  std::int64_t samples() const {
    return static_cast<std::int64_t>(bags.size()) / static_cast<std::int64_t>(features.size());
  }
};

/// What comes out: pooled rows per group and sample, and the rows after one step of SGD with
/// rate 1.
struct Outcome {
  std::vector<std::vector<Vector>> pooled;
  std::vector<std::map<Key, Vector>> rows;  // per table

  /// The same bits.
  bool operator==(const Outcome& other) const;
};

/// Three tables, two of them with rows of `dim` and 1 columns and one of 3 and 1; seven
/// features with all combiners, in 8 slices of which one is empty.
Problem make_problem(unsigned seed, ExchangeMode mode, PoolOrder order, std::int64_t dim = 5);

/// The same, with keys in the first and the last shard of each rank's run, for every number of
/// ranks up to 11: several keys a shard, mixed in the bags. Each key occurs in one slice only, in
/// the slices on both sides of a border between ranks, or in all slices.
Problem make_border_problem(ExchangeMode mode, PoolOrder order);

/// As make_problem, pooled by shard, with rows and gradients of -0, and only with combiners whose
/// gradient is -0 then.
Problem make_zero_problem(ExchangeMode mode);

/// From the definition: pool each bag; add gradients per slice in (sample, feature, position) and
/// fold over slices.
Outcome reference(const Problem& p);

}  // namespace keyshard::testing
