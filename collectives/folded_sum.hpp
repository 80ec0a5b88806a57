// The sum of float vectors over all slices of a job, with the same bits on any number of ranks:
// each rank gives one partial per maximal node of its run of slices, the owner of a chunk of the
// vector folds the partials of all ranks in the order of slices, and the chunks are gathered again
// after their owners have used them. Where the numbers of ranks and of slices are powers of two, a
// rank sends at most one vector to be summed, and at most one to be gathered.
#pragma once

#include <cstdint>
#include <vector>

#include "collectives/communicator.hpp"
#include "runtime/buffer.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// The sum over the slices of one node, in device memory. `data` is null where no slice of the node
/// had a term.
template <class T>
struct NodePartial {
  std::int64_t first_slice = 0;
  const T* data = nullptr;
};

template <class T, Backend B>
class FoldedSum {
 public:
  /// Vectors of `size` numbers, summed over `slices` slices that the ranks own by run_of.
  /// `communicator` is borrowed.
  FoldedSum(Communicator<B>& communicator, std::int64_t slices, std::int64_t size);

  /// The part of the vector that this rank owns: run_of(rank, ranks, size).
  Range chunk() const noexcept { return chunk_; }

  /// `partials`: one per node of nodes_of(this rank's run of slices), in order. `sum`
  /// [chunk().size()], in device memory, gets the fold of the chunk over all slices, 0 where no
  /// slice had a term. Throws Error{invalid_argument} for another number of partials. Collective;
  /// ordered on `stream`.
  void reduce(Stream<B>& stream, const std::vector<NodePartial<T>>& partials, T* sum);

  /// `vector` [size], in device memory, holds this rank's chunk in its place; the chunks of all
  /// other ranks are filled in. Collective; ordered on `stream`.
  void gather(Stream<B>& stream, T* vector);

 private:
  Communicator<B>& communicator_;
  std::int64_t slices_;
  std::int64_t size_;
  Range chunk_;
};

/// The fold of one number per slice over all slices, on every rank (losses; in double); 0 where no
/// slice has a term. `terms` and `present` [slices of this rank]; a slice whose `present` is false
/// has no term. Throws Error{invalid_argument} for other sizes. Collective; a message between
/// hosts.
template <Backend B>
double folded_scalar(Communicator<B>& communicator, std::int64_t slices,
                     const std::vector<double>& terms, const std::vector<bool>& present);

}  // namespace keyshard
