// Batches from text that is read in one pass: every rank unpacks everything and parses only the
// lines of its slices. A step takes the next records of the stream, which is shuffled inside
// windows, so the batches differ from those of order = "blocks". With many ranks this is slow;
// packed files (packed_writer.hpp) are the remedy.
#pragma once

#include <memory>

#include "io/data_options.hpp"
#include "io/data_reader.hpp"
#include "io/text_files.hpp"

namespace keyshard {

/// Counts the records of the files, unless a kept index has them (index_file.hpp). Collective.
/// Throws Error{bad_input} naming file and reason, on all ranks.
std::unique_ptr<DataReader> make_stream_reader(const DataOptions& options, Split split,
                                               const ReadPlan& plan,
                                               Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                               std::vector<TextFile> files);

}  // namespace keyshard
