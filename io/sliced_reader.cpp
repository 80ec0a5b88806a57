#include "io/sliced_reader.hpp"

#include <numeric>

#include "runtime/error.hpp"

namespace keyshard {

SlicedReader::SlicedReader(DataSchema schema, std::vector<std::int64_t> block_records,
                           const ReadPlan& plan, const Communicator<Cpu>& communicator,
                           SliceCut cut)
    : schema_(std::move(schema)),
      block_records_(std::move(block_records)),
      plan_(plan),
      cut_(cut),
      steps_(std::accumulate(block_records_.begin(), block_records_.end(), std::int64_t{0}), plan,
             cut),
      steps_per_epoch_(steps_.steps()),
      run_(run_of(communicator.rank(), communicator.size(), plan.slices)) {
  go_to({0, 0, {}});
}

void SlicedReader::go_to(const ReaderPosition& position) {
  steps_ = StepPlan(records(), plan_, cut_, position);
  epoch_ = position.epoch;
  step_ = position.step;
  consumed_ = step_ > 0 ? position.consumed
                        : std::vector<std::int64_t>(static_cast<std::size_t>(plan_.slices));
  order_ = std::make_unique<EpochOrder>(block_records_, plan_, epoch_);
}

bool SlicedReader::next(Batch& batch) {
  batch.clear();
  batch.slices = run_;
  batch.dense_columns = static_cast<std::int64_t>(schema_.dense.size());
  batch.features = static_cast<std::int64_t>(schema_.features.size());
  batch.slice_offsets.push_back(0);
  batch.id_offsets.push_back(0);
  if (step_ == steps_.steps()) {
    go_to({epoch_ + 1, 0, {}});
    place_changed();
    return false;
  }
  for (std::int64_t slice = run_.begin; slice < run_.end; ++slice) {
    read_slice(slice, steps_.taken(slice, step_), batch);
    batch.slice_offsets.push_back(batch.samples());
  }
  for (std::int64_t slice = 0; slice < plan_.slices; ++slice) {
    consumed_[static_cast<std::size_t>(slice)] = steps_.taken(slice, step_).end;
  }
  ++step_;
  return true;
}

ReaderPosition SlicedReader::position() const { return {epoch_, step_, consumed_}; }

void SlicedReader::seek(const ReaderPosition& position) {
  require(position.epoch >= 0 && position.step >= 0, Kind::invalid_argument,
          "expected a position in an epoch: found step {} of epoch {}", position.step,
          position.epoch);
  go_to(position);
  place_changed();
}

}  // namespace keyshard
