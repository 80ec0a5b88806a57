// The batch of the step after the one that is made, on this rank: what a step that overlaps with
// the next one is given.
#pragma once

#include <exception>

#include "io/batch.hpp"
#include "io/prefetch_reader.hpp"
#include "runtime/progress.hpp"

namespace keyshard {

struct NextBatch {
  const Batch* batch = nullptr;  ///< borrowed; null: there is none, or this rank has failed
  /// Why this rank has no batch although the other ranks have one: the next step fails on all
  /// ranks, here with this.
  std::exception_ptr failure = nullptr;

  /// Whether the other ranks have a batch: the same on all ranks.
  explicit operator bool() const noexcept { return batch != nullptr || failure != nullptr; }
};

/// The next batch of a reader, on the main thread of a rank, in the phase `reading`.
inline NextBatch peek_next(AheadReader& reader, Progress& progress) {
  const InPhase phase(progress, Phase::reading);
  try {
    return {reader.peek()};
  } catch (const std::exception&) {
    return {nullptr, std::current_exception()};
  }
}

}  // namespace keyshard
