// Reads ahead on a thread: the next batches are parsed while a step computes.
#pragma once

#include <memory>

#include "io/data_reader.hpp"

namespace keyshard {

/// Keeps up to `depth` batches of `reader` ready. Positions are those of the batches that were
/// delivered, so a resume does not depend on what was read ahead. What the reader throws
/// is thrown by the `next` that would have delivered it.
std::unique_ptr<DataReader> read_ahead(std::unique_ptr<DataReader> reader, int depth);

}  // namespace keyshard
