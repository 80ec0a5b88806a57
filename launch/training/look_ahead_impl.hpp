// The bodies of LookAhead.
#pragma once

#include <utility>

#include "launch/training/look_ahead.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"

namespace keyshard {

template <Backend B>
PreparedLookup<B> prepare_batch(Lookup<B>& lookup, Stream<B>& stream, const Batch& batch,
                                std::int64_t slices, bool stop, Communicator<B>* communicator) {
  const std::int64_t carry[] = {batch.samples(), stop ? 1 : 0, batch.bad_lines};
  static_assert(std::size(carry) == kCarried);
  const RaggedView<const Key> bags = batch.bags();
  Buffer<Key, B> ids_copy;
  Buffer<std::int64_t, B> offsets_copy;
  Buffer<float, B> weights_copy;
  const LookupInput input{
      .bags = {{device_view<Key>(stream, bags.values, ids_copy), bags.values.size()},
               {device_view<std::int64_t>(stream, bags.offsets, offsets_copy),
                bags.offsets.size()}},
      .samples = batch.samples(),
      .slices = slices,
      .run = batch.slices,
      .slice_offsets = batch.slice_offsets,
      .weights = {device_view<float>(stream, batch.id_weights, weights_copy),
                  std::ssize(batch.id_weights)}};
  return lookup.prepare(stream, input, carry, communicator);
}

template <Backend B>
LookAhead<B>::LookAhead(Lookup<B>& lookup, Communicator<B>& communicator, Stream<B>& stream,
                        std::int64_t slices)
    : lookup_(lookup),
      progress_(communicator.progress()),
      steps_(stream),
      slices_(slices),
      communicator_(communicator.duplicate()),
      lanes_{Lane(stream), Lane(stream)} {}

template <Backend B>
PreparedLookup<B> LookAhead<B>::prepare(Lane& lane, const NextBatch& next, bool stop) {
  if (next.failure != nullptr) {
    lookup_.refuse(lane.stream, next.failure, kCarried, communicator_.get());
  }
  PreparedLookup<B> prepared =
      prepare_batch<B>(lookup_, lane.stream, *next.batch, slices_, stop, communicator_.get());
  lane.prepared.record(lane.stream);
  return prepared;
}

template <Backend B>
void LookAhead<B>::begin(const NextBatch& next, bool stop) {
  require(!begun_, Kind::invalid_argument,
          "expected that the batch which was begun is taken before the next one");
  begun_ = true;
  lane_ = 1 - lane_;
  ids_ = next.batch == nullptr ? nullptr : next.batch->ids.data();
  failure_ = nullptr;
  thread_.begin([this, next, stop] {
    try {
      prepared_ = prepare(lanes_[lane_], next, stop);
    } catch (...) {
      failure_ = std::current_exception();
    }
  });
}

template <Backend B>
void LookAhead<B>::finish() noexcept {
  const InPhase phase(progress_, Phase::exchanging);
  const Progress& ahead = communicator_->progress();
  std::uint64_t seen = ahead.counter();
  while (!thread_.wait_for(std::chrono::milliseconds(100))) {
    // The watchdog sees this rank alone: it works and waits as its other thread does.
    if (ahead.waiting() != progress_.waiting()) {
      ahead.waiting() ? progress_.begin_wait() : progress_.end_wait();
    } else if (ahead.counter() != seen) {
      progress_.advance();
    }
    seen = ahead.counter();
  }
  progress_.end_wait();
}

template <Backend B>
bool LookAhead<B>::stop_wished() const {
  return begun_ && failure_ == nullptr &&
         prepared_.carried()[static_cast<std::size_t>(Carried::stop)] > 0;
}

template <Backend B>
PreparedLookup<B> LookAhead<B>::take(const Batch& batch) {
  begun_ = false;
  if (failure_ != nullptr) {
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
  require(ids_ == batch.ids.data(), Kind::invalid_argument,
          "expected the batch that the step before was given as the next one: found another one, "
          "of {} samples",
          batch.samples());
  lanes_[lane_].prepared.hold(steps_);
  taken_ = lane_;
  return std::move(prepared_);
}

template <Backend B>
void LookAhead<B>::release() noexcept {
  Lane& lane = lanes_[taken_];  // no batch is prepared in it
  try {
    lane.used.record(steps_);
    lane.used.hold(lane.stream);
  } catch (const Error&) {
    // The device has failed, and so does its next call.
  }
}

template <Backend B>
std::int64_t LookAhead<B>::launches() const noexcept {
  return lanes_[0].stream.launches() + lanes_[1].stream.launches();
}

}  // namespace keyshard
