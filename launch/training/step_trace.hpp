// The stages of a training step as digests (digest_trace.hpp), in this order: `batch` (records,
// labels, weights, dense, ids), `pooled` (factors, linear), `gradients` (loss; of factors, linear
// and the dense parameters) and `update` (the tables and the dense side at the step's end). A trace
// reads all rows in every step, so it is slow: use it to find a difference, not to train.
#pragma once

#include <string>

#include "io/batch.hpp"
#include "io/state_digest.hpp"
#include "launch/training/dense_side.hpp"
#include "launch/training/digest_trace.hpp"

namespace keyshard {

template <Backend B>
class StepTrace {
 public:
  /// Compares with the file `path`, or writes it (DigestTrace).
  StepTrace(const std::string& path, Communicator<B>& communicator, Stream<B>& stream)
      : trace_(path, host_of(communicator)), stream_(stream) {}

  // Each call is collective and throws Error{other_bits} on rank 0. Steps count from 1.

  void batch(std::int64_t step, const Batch& batch);
  void pooled(std::int64_t step, const Batch& batch, const PooledViews<const float>& pooled);
  /// `dense`: after its forward_backward of this step, with this `loss`.
  void gradients(std::int64_t step, const Batch& batch, const PooledViews<const float>& gradients,
                 const DenseSide<B>& dense, double loss);
  void update(std::int64_t step, const std::vector<TableDigests>& tables,
              const NamedDigests& dense);

  /// What was done, for the user.
  std::string summary() const { return trace_.summary(); }

 private:
  template <class Add>
  void add_samples(std::int64_t step, const char* stage, const char* tensor, const Batch& batch,
                   const Add& add);
  void add_views(std::int64_t step, const char* stage, const Batch& batch,
                 const PooledViews<const float>& views);

  DigestTrace trace_;
  Stream<B>& stream_;
};

}  // namespace keyshard
