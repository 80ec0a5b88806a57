// Batches from delimited text, where each slice reads at its own position: blocks of files that are
// plain or were unpacked into memory, and compressed files of one block each, which a slice unpacks
// from their start up to its position.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/data_options.hpp"
#include "io/data_reader.hpp"
#include "io/text_files.hpp"

namespace keyshard {

/// Counts the records of the files of a split, unless a kept index has them (index_file.hpp).
/// Reading advances the progress of the communicator. Collective. Throws Error{bad_input} naming
/// file and reason, on all ranks.
std::unique_ptr<DataReader> make_text_reader(const DataOptions& options, Split split,
                                             const ReadPlan& plan, Communicator<Cpu>& communicator,
                                             Stream<Cpu>& stream, TextFiles files);

}  // namespace keyshard
