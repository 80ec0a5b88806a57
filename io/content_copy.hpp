// The content of a checkpoint in memory of its own: a training may go on at once, and the content
// is saved later, or never. A copy is what the save would copy anyway; nothing is written.
#pragma once

#include <cstdint>

#include "io/checkpoint_writer.hpp"

namespace keyshard {

/// What a copy of the content takes on this rank: keys, columns and dense parts.
std::int64_t bytes_of(const CheckpointContent& content);

/// The same content, which borrows nothing. Calls the `copy` of its tables, from all threads of the
/// stream, as a save does. `rank` and `ranks` are those of the job.
CheckpointContent copy_of(const CheckpointContent& content, int rank, int ranks,
                          Stream<Cpu>& stream);

}  // namespace keyshard
