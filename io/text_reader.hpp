// Batches from delimited text, each slice at its own place: blocks of plain files, of compressed
// ones that were unpacked into memory, and compressed files that are one block each, which a slice
// unpacks from their start up to its place.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/data_options.hpp"
#include "io/data_reader.hpp"
#include "io/text_files.hpp"

namespace keyshard {

/// Counts the records of the files of a split, unless that was done before. `progress` of the
/// communicator is advanced while reading. Collective. Throws Error{bad_input} naming file and
/// line.
std::unique_ptr<DataReader> make_text_reader(const DataOptions& options, Split split,
                                             const ReadPlan& plan, Communicator<Cpu>& communicator,
                                             Stream<Cpu>& stream, TextFiles files);

}  // namespace keyshard
