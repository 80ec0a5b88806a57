// The reader of a split, as its options say: text, packed or generated, read ahead on a thread.
#pragma once

#include <memory>

#include "io/data_options.hpp"
#include "io/data_reader.hpp"

namespace keyshard {

/// Opens the data of a split on all ranks. Collective. Throws Error{bad_input} naming file and
/// reason, on the rank that sees it.
std::unique_ptr<DataReader> make_reader(const DataOptions& options, Split split,
                                        const ReadPlan& plan, Communicator<Cpu>& communicator,
                                        Stream<Cpu>& stream);

}  // namespace keyshard
