// Batches from text that is read in one pass: every rank unpacks everything and parses only the
// lines of its slices. Step s is the next records of the stream, shuffled inside windows of the
// stream, so the batches are others than those of order = "blocks". The reader is slow with many
// ranks, for which packed files (packed_writer.hpp) are made.
#pragma once

#include <memory>

#include "io/data_options.hpp"
#include "io/data_reader.hpp"
#include "io/text_files.hpp"

namespace keyshard {

/// Counts the records of the files, unless that was done before. Collective. Throws
/// Error{bad_input} naming file and reason, on all ranks.
std::unique_ptr<DataReader> make_stream_reader(const DataOptions& options, Split split,
                                               const ReadPlan& plan,
                                               Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                               std::vector<TextFile> files);

}  // namespace keyshard
