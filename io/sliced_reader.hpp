// What all readers share: epochs, steps and the position. A derived reader only adds how the
// records of a slice become samples.
#pragma once

#include <memory>
#include <vector>

#include "io/data_reader.hpp"
#include "io/record_order.hpp"

namespace keyshard {

class SlicedReader : public DataReader {
 public:
  const DataSchema& schema() const final { return schema_; }

  std::int64_t records() const final { return steps_.records(); }

  std::int64_t steps_per_epoch() const final { return steps_per_epoch_; }

  std::int64_t steps_left() const final { return steps_.steps() - step_; }

  std::vector<std::int64_t> block_records() const final { return block_records_; }

  bool next(Batch& batch) final;
  ReaderPosition position() const final;
  void seek(const ReaderPosition& position) final;

 protected:
  SlicedReader(DataSchema schema, std::vector<std::int64_t> block_records, const ReadPlan& plan,
               const Communicator<Cpu>& communicator, SliceCut cut = SliceCut::runs);

  /// Adds the samples of the records `taken` of a slice, counted from the slice's first record.
  virtual void read_slice(std::int64_t slice, Range taken, Batch& batch) = 0;

  /// Called after a seek or the end of an epoch: drops what was read for the old position.
  virtual void place_changed() {}

  const ReadPlan& plan() const noexcept { return plan_; }

  const StepPlan& steps() const noexcept { return steps_; }

  const EpochOrder& epoch_order() const noexcept { return *order_; }

  /// Slices of this rank.
  Range run() const noexcept { return run_; }

  std::int64_t epoch() const noexcept { return epoch_; }

  std::int64_t step() const noexcept { return step_; }

 private:
  /// Goes to a place in an epoch.
  void go_to(const ReaderPosition& position);

  DataSchema schema_;
  std::vector<std::int64_t> block_records_;
  ReadPlan plan_;
  SliceCut cut_;
  StepPlan steps_;  // of this epoch
  std::int64_t steps_per_epoch_;
  Range run_;
  std::unique_ptr<EpochOrder> order_;
  std::int64_t epoch_ = 0;
  std::int64_t step_ = 0;
  std::vector<std::int64_t> consumed_;  // [slices] before the next step
};

}  // namespace keyshard
