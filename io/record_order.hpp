// Which record is read when: a pure function of (seed, epoch, slice, position), the same for text
// and packed data and on any number of ranks. Epoch e sorts the blocks by hash(seed, e, block);
// slice v owns records [vN/V, (v+1)N/V) of that order, read in windows of W records, each permuted.
// So the position of a slice is one integer.
#pragma once

#include <cstdint>
#include <vector>

#include "io/data_reader.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// Records [first, first + count) of a block.
struct BlockPiece {
  std::int64_t block = 0;
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// The order of one epoch.
class EpochOrder {
 public:
  /// `block_records`: records of each block, in input order.
  EpochOrder(const std::vector<std::int64_t>& block_records, const ReadPlan& plan,
             std::int64_t epoch);

  /// Records [begin, end) of the epoch's order, as pieces of blocks.
  std::vector<BlockPiece> pieces(std::int64_t begin, std::int64_t end) const;

 private:
  std::vector<std::int64_t> blocks_;  // in the order of the epoch
  std::vector<std::int64_t> starts_;  // [blocks + 1] records before each
};

/// The permutation of the `count` records of one window: the i-th record that is read is number
/// result[i] of the window.
std::vector<std::uint32_t> window_order(const ReadPlan& plan, std::int64_t epoch,
                                        std::int64_t slice, std::int64_t window,
                                        std::int64_t count);

/// How records come to slices. `runs`: each slice owns a run of the epoch's order, so each slice
/// can be read on its own. `steps`: each step takes the next records of a stream and cuts them into
/// slices.
enum class SliceCut { runs, steps };

/// How the records of an epoch are dealt to steps.
class StepPlan {
 public:
  /// Throws Error{invalid_argument} where the batch size is no multiple of the slices.
  StepPlan(std::int64_t records, const ReadPlan& plan, SliceCut cut = SliceCut::runs)
      : StepPlan(records, plan, cut, {}) {}

  /// The rest of an epoch from `position` on. The steps before the position may have had another
  /// batch size; with the same size this is the plan of the whole epoch. Throws
  /// Error{invalid_argument} where no step can end at the position.
  StepPlan(std::int64_t records, const ReadPlan& plan, SliceCut cut,
           const ReaderPosition& position);

  std::int64_t records() const noexcept { return records_; }

  /// Steps of the whole epoch: those before the position and those after.
  std::int64_t steps() const noexcept { return steps_; }

  /// SliceCut::runs: the records of the epoch's order that a slice owns.
  Range records_of(std::int64_t slice) const;
  /// The records that a slice gives to a step, counted from the slice's first record. The step is
  /// not before the position.
  Range taken(std::int64_t slice, std::int64_t step) const;
  /// Number, in the global batch of a step, of the i-th sample of a slice.
  std::int64_t sample_number(std::int64_t slice, std::int64_t step, std::int64_t i) const;
  /// SliceCut::steps: the record of the stream that is the i-th sample of a slice in a step.
  std::int64_t stream_record(std::int64_t slice, std::int64_t step, std::int64_t i) const;

 private:
  bool is_last(std::int64_t step) const { return step == steps_ - 1 && !dropped_; }

  /// Records of all slices that a position has consumed; sets consumed_.
  std::int64_t consumed_by(const ReaderPosition& position);

  /// Records that each slice has given before a step.
  std::int64_t given(std::int64_t step) const { return consumed_ + (step - first_step_) * share_; }

  /// SliceCut::steps: samples before those of a slice in the last step.
  std::int64_t last_begin(std::int64_t slice) const;

  std::int64_t records_;
  std::int64_t slices_;
  std::int64_t share_;  // records of a slice in a full step
  SliceCut cut_;
  std::int64_t first_step_;    // at the position
  std::int64_t consumed_ = 0;  // records of each slice at the position
  std::int64_t steps_ = 0;
  bool dropped_ = false;
};

}  // namespace keyshard
