// Makes the reader of a split for the format that the options name: text, packed or generated.
#pragma once

#include <memory>

#include "io/data_options.hpp"
#include "io/data_reader.hpp"

namespace keyshard {

/// Opens the data of a split on all ranks. Collective. With order = "auto", data.memory_bytes and
/// the number of files choose the order of reading (open_text_files); the batches depend on that
/// order, so set the order where the memory may change. Throws Error{bad_input} naming file and
/// reason, on all ranks.
std::unique_ptr<DataReader> make_reader(const DataOptions& options, Split split,
                                        const ReadPlan& plan, Communicator<Cpu>& communicator,
                                        Stream<Cpu>& stream);

}  // namespace keyshard
