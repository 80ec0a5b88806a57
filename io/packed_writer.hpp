// Makes a packed file (packed_schema.hpp) of any data, for `keyshard convert`. A job gets the same
// batches, bit for bit, from the packed file as from the text with order = "blocks": the packed
// file keeps the blocks of the text. The batches differ where lines were bad (bad lines are left
// out, so later records move up), or where the text was read as a stream, which is shuffled in
// another way.
#pragma once

#include <cstdint>
#include <string>

#include "io/data_options.hpp"

namespace keyshard {

struct PackedCounts {
  std::int64_t samples = 0;
  std::int64_t ids = 0;
  std::int64_t bad_lines = 0;
  std::string note;  ///< of the reader
};

/// Writes a split to a new file at `path`, which appears when it is whole. Reads the data twice.
/// Throws Error{io} where `path` exists, Error{bad_input} as the reader does, and
/// Error{invalid_argument} on more than one rank.
PackedCounts write_packed(const DataOptions& options, Split split, const std::string& path,
                          Communicator<Cpu>& communicator, Stream<Cpu>& stream);

}  // namespace keyshard
