// How many lines of the data did not parse, over all ranks. Whether a job goes on is decided after
// every batch by the sum over all ranks, so a job stops at the same step, with the same message, on
// any number of ranks.
#pragma once

#include <cstdint>

#include "collectives/communicator.hpp"
#include "io/batch.hpp"

namespace keyshard {

struct BadLineCounts {
  std::int64_t total = 0;  ///< so far
  std::int64_t epoch = 0;  ///< in the epoch that is being read
};

class BadLines {
 public:
  /// Allows `allowed` bad lines in an epoch, over all ranks.
  explicit BadLines(std::int64_t allowed) : allowed_(allowed) {}

  /// Counts the bad lines of a batch: `of_all_ranks` is their number over all ranks. Where the
  /// epoch then has more than are allowed, throws Error{bad_input} with "file:line: reason" of the
  /// first bad line of the batch, on every rank.
  void add(Communicator<Cpu>& communicator, const Batch& batch, std::int64_t of_all_ranks);
  /// The same for a caller that does not know the number over all ranks. Collective.
  void add(Communicator<Cpu>& communicator, const Batch& batch);

  void begin_epoch() noexcept { counts_.epoch = 0; }

  const BadLineCounts& counts() const noexcept { return counts_; }

  /// Sets the counts to those of a checkpoint.
  void restore(const BadLineCounts& counts) noexcept { counts_ = counts; }

 private:
  std::int64_t allowed_;
  BadLineCounts counts_;
};

}  // namespace keyshard
