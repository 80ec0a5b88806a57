// Batches from delimited text with random access: plain files, and compressed ones that were
// unpacked into memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/byte_source.hpp"
#include "io/data_options.hpp"
#include "io/data_reader.hpp"

namespace keyshard {

/// Opens the files of a split and counts their records. `progress` of the communicator is advanced
/// while reading. Collective. Throws Error{bad_input} naming file and line.
std::unique_ptr<DataReader> make_text_reader(const DataOptions& options, Split split,
                                             const ReadPlan& plan, Communicator<Cpu>& communicator,
                                             Stream<Cpu>& stream,
                                             std::vector<std::unique_ptr<ByteSource>> sources);

}  // namespace keyshard
