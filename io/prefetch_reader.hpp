// Reads ahead on a thread: the next batches are parsed while a step computes.
#pragma once

#include <memory>

#include "io/data_reader.hpp"

namespace keyshard {

/// A reader that has the next batches in memory.
class AheadReader : public DataReader {
 public:
  /// The batch of the next call of `next` that returns true: where the epoch ends before it, the
  /// first one of the next epoch; null where that epoch has none. Waits for it, and throws what
  /// that call will throw. It stays until the next call of `next`, which moves it: the elements of
  /// its columns stay where they are. Not collective.
  virtual const Batch* peek() = 0;
};

/// Keeps up to `depth` batches of `reader` ready. `position` counts only the batches that `next`
/// has returned, so a resume does not depend on what was read ahead. An error of the reader is
/// thrown by the call of `next` that would have returned the batch, and by all later calls until
/// `seek`.
std::unique_ptr<AheadReader> read_ahead(std::unique_ptr<DataReader> reader, int depth);

}  // namespace keyshard
