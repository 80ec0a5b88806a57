// The workloads of the benchmark. W1: 26 features of one id, Zipf 1.05 over 2,000,000 ids each,
// with 13 dense columns and labels. W2: 4 features of bags with 1 to 40 ids. W3: 26 features of one
// id, uniform over 20,000,000 keys. P, of the measures of any device: as W1, with other sizes and
// without dense columns. The key of id r of a feature is mix64((feature + 1) 2^32 + r), which no
// other feature has. Workloads are read from raw little-endian files (FOLDER/W1/ids.u64,
// ...) or made here, with the same numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/portable.hpp"

namespace keyshard {

/// The ids of the steps of a workload, sample by sample: bag f of sample b is number b * features +
/// f of its step.
struct IdBatches {
  std::string name;  ///< "W1", "W2", "W3" or "P"
  std::int64_t samples = 0;
  std::int64_t features = 0;
  std::vector<Key> keys;              ///< step after step
  std::vector<std::int64_t> starts;   ///< [steps + 1] in keys
  std::vector<std::int64_t> offsets;  ///< of bags, in a step: [steps x (bags + 1)], or
                                      ///< [bags + 1] where every bag has one id
  std::vector<float> labels;          ///< W1: [steps x samples]
  std::vector<float> dense;           ///< W1: [steps x samples x dense_columns]
  std::int64_t dense_columns = 0;
  std::vector<Key> table_keys;  ///< keys that have rows before the first step; empty: those of all
                                ///< steps

  std::int64_t steps() const { return static_cast<std::int64_t>(starts.size()) - 1; }

  std::int64_t bags() const { return samples * features; }

  /// Whether every bag has one id.
  bool single() const { return static_cast<std::int64_t>(offsets.size()) == bags() + 1; }

  Span<const Key> keys_of(std::int64_t step) const;
  Span<const std::int64_t> offsets_of(std::int64_t step) const;
  double mean_ids() const;
};

struct WorkloadOptions {
  std::string folder;              ///< of raw files; empty: made here
  std::int64_t steps = 0;          ///< made here: how many; 0: 200 (W1), 100 (W2, W3)
  std::int64_t keys = 20'000'000;  ///< of W3, made here
};

/// Throws Error{bad_input} naming the file that is missing or has a wrong size.
IdBatches workload_w1(const WorkloadOptions& options);
IdBatches workload_w2(const WorkloadOptions& options);
IdBatches workload_w3(const WorkloadOptions& options);

/// The sizes of workload P.
struct SharedShape {
  std::int64_t samples = 0;
  std::int64_t features = 0;
  std::int64_t rows = 0;  ///< ids of a feature
  std::int64_t steps = 0;
};

IdBatches workload_p(const SharedShape& shape);

/// The key of id `rank` of a feature.
Key workload_key(std::int64_t feature, std::int64_t rank);

/// The part of a rank: an equal run of the samples of every step. `ranks` divides the samples.
IdBatches share_of(const IdBatches& all, std::int64_t rank, std::int64_t ranks);

/// The value that a measure gives to column d of a new row.
inline float filled_value(Key key, std::int64_t d) {
  return 0.01f * static_cast<float>((key >> (d & 31)) & 7);
}

/// Upstream gradients of numbers first, first + 1, ... of a step: multiples of 2^-13 up to 2^-6, so
/// that their sums are exact in any order.
void fill_gradients(Span<float> gradients, std::int64_t first);

}  // namespace keyshard
