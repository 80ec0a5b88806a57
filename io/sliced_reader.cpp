#include "io/sliced_reader.hpp"

#include <numeric>

#include "runtime/error.hpp"

namespace keyshard {

SlicedReader::SlicedReader(DataSchema schema, std::vector<std::int64_t> block_records,
                           const ReadPlan& plan, const Communicator<Cpu>& communicator,
                           Dealing dealing)
    : schema_(std::move(schema)),
      block_records_(std::move(block_records)),
      plan_(plan),
      steps_(std::accumulate(block_records_.begin(), block_records_.end(), std::int64_t{0}), plan,
             dealing),
      run_(run_of(communicator.rank(), communicator.size(), plan.slices)) {
  begin_epoch(0);
}

void SlicedReader::begin_epoch(std::int64_t epoch) {
  epoch_ = epoch;
  step_ = 0;
  order_ = std::make_unique<EpochOrder>(block_records_, plan_, epoch);
}

bool SlicedReader::next(Batch& batch) {
  batch.clear();
  batch.slices = run_;
  batch.dense_columns = static_cast<std::int64_t>(schema_.dense.size());
  batch.features = static_cast<std::int64_t>(schema_.features.size());
  batch.slice_offsets.push_back(0);
  batch.id_offsets.push_back(0);
  if (step_ == steps_.steps()) {
    begin_epoch(epoch_ + 1);
    place_changed();
    return false;
  }
  for (std::int64_t slice = run_.begin; slice < run_.end; ++slice) {
    read_slice(slice, steps_.taken(slice, step_), batch);
    batch.slice_offsets.push_back(batch.samples());
  }
  ++step_;
  return true;
}

ReaderPosition SlicedReader::position() const {
  ReaderPosition position{epoch_, step_, {}};
  for (std::int64_t slice = 0; slice < plan_.slices; ++slice) {
    position.consumed.push_back(step_ == 0 ? 0 : steps_.taken(slice, step_ - 1).end);
  }
  return position;
}

void SlicedReader::seek(const ReaderPosition& position) {
  require(position.epoch >= 0 && position.step >= 0 && position.step <= steps_.steps(),
          Kind::invalid_argument,
          "expected a position of at most {} steps in an epoch: found step {} of epoch {}",
          steps_.steps(), position.step, position.epoch);
  begin_epoch(position.epoch);
  step_ = position.step;
  place_changed();
  require(this->position() == position, Kind::invalid_argument,
          "expected a position of this data and batch size: found other records consumed at step "
          "{}",
          position.step);
}

}  // namespace keyshard
