// The reader of a split, as its options say: text, packed or generated, read ahead on a thread.
#pragma once

#include <memory>

#include "io/data_options.hpp"
#include "io/data_reader.hpp"

namespace keyshard {

/// Opens the data of a split on all ranks. Collective. Compressed text is unpacked into the memory
/// of each rank if all of it fits data.memory_bytes, else read as a stream (order = "auto"); the
/// order decides which batches there are, so set it where the memory may change. Throws
/// Error{bad_input} naming file and reason, on all ranks.
std::unique_ptr<DataReader> make_reader(const DataOptions& options, Split split,
                                        const ReadPlan& plan, Communicator<Cpu>& communicator,
                                        Stream<Cpu>& stream);

}  // namespace keyshard
