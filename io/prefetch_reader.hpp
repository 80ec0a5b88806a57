// Reads ahead on a thread: the next batches are parsed while a step computes.
#pragma once

#include <memory>

#include "io/data_reader.hpp"

namespace keyshard {

/// Keeps up to `depth` batches of `reader` ready. `position` counts only the batches that `next`
/// has returned, so a resume does not depend on what was read ahead. An error of the reader is
/// thrown by the call of `next` that would have returned the batch, and by all later calls until
/// `seek`.
std::unique_ptr<DataReader> read_ahead(std::unique_ptr<DataReader> reader, int depth);

}  // namespace keyshard
