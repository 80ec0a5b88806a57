// Batches from packed files (packed_schema.hpp). Records are dealt and shuffled as those of text
// are, by the blocks that the files name.
#pragma once

#include <memory>

#include "io/data_options.hpp"
#include "io/data_reader.hpp"

namespace keyshard {

/// Opens the files of a split. Columns of the configuration, where it has any, must be those of the
/// files, in order. Collective. Throws Error{corrupt_data} or Error{bad_input} naming the file, on
/// all ranks.
std::unique_ptr<DataReader> make_packed_reader(const DataOptions& options, Split split,
                                               const ReadPlan& plan,
                                               Communicator<Cpu>& communicator);

}  // namespace keyshard
