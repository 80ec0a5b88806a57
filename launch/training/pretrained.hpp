// Rows that a table has before its first step: vectors from a text, from arrays of numpy, or from a
// checkpoint. Each rank reads its part, and the vectors go to the ranks that own their keys, piece
// by piece. The other column groups of a row, and all states, begin as those of a new row.
#pragma once

#include <cstdint>
#include <string>

#include "embedding/rows/table_set.hpp"
#include "runtime/text_keys.hpp"

namespace keyshard {

/// What [tables.NAME] says of its first rows.
struct Pretrained {
  std::string table;
  /// A text file (io/vector_source.hpp), a folder with keys.npy and values.npy, or a checkpoint,
  /// of which the values of the table of that name are taken.
  std::string path;
  bool strings = false;            ///< the columns that read the table hold strings, not integers
  TextHash hash = TextHash::xxh3;  ///< of strings
};

enum class VectorForm : std::int64_t { text, numpy, checkpoint };

/// What a path names, as rank 0 sees it: a file is text, a folder without arrays is a checkpoint.
/// Collective. Throws Error{bad_input} on all ranks where nothing has that name.
VectorForm form_of(const std::string& path, Communicator<Cpu>& communicator);

/// Loads the rows of a table that has none. Text and numpy have the numbers of its first column
/// group; of a checkpoint all groups are taken that it has. Returns the rows over all ranks. The
/// result is the same on any number of ranks. Collective. Throws Error{bad_input} on all ranks
/// where a vector has the wrong size, or a key comes twice, naming the places, and
/// Error{corrupt_data} where a checkpoint is refused.
template <Backend B>
std::int64_t load_pretrained(const Pretrained& from, TableSet<B>& tables, Stream<B>& stream);

}  // namespace keyshard
