// Batches from packed files (packed_schema.hpp). Records are dealt and shuffled as records of text,
// by the blocks that a file lists.
#pragma once

#include <memory>

#include "io/data_options.hpp"
#include "io/data_reader.hpp"

namespace keyshard {

/// Opens the files of a split. Where the configuration has columns, they must be those of the
/// files, in order. Collective. Throws Error{corrupt_data} or Error{bad_input} naming the file, on
/// all ranks.
std::unique_ptr<DataReader> make_packed_reader(const DataOptions& options, Split split,
                                               const ReadPlan& plan,
                                               Communicator<Cpu>& communicator);

}  // namespace keyshard
