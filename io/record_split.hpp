// Which records of the training files belong to a split of data.split. The hash of a record draws a
// number in [0, 1): below `valid` the record is validation data, below `valid + test` test data,
// and else training data. The hash is that of the name of its file, without folders, and the number
// of the record there, from 0; or of its cells in the columns `by`, so that all records of a user
// are in one split. So the choice is the same on any number of ranks, in any order of reading, and
// after lines were added to a file, or files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/data_options.hpp"
#include "io/text_cells.hpp"
#include "io/text_index.hpp"

namespace keyshard {

class RecordSplit {
 public:
  /// `files` and `starts` are those of the files. Throws Error{bad_input} where a header lacks a
  /// column of `by`.
  RecordSplit(const DataOptions& options, Split split, const std::vector<std::string>& files,
              const std::vector<TextStart>& starts);

  /// Whether every record is in the split.
  bool is_whole() const noexcept { return whole_; }

  /// Whether the number of a record decides, and not its text.
  bool is_by_number() const noexcept { return cells_.empty(); }

  /// Whether record `number` of a file is in the split. A record that lacks a cell of `by` is
  /// hashed as a whole line: it is a bad line of one split.
  bool has(std::int64_t file, std::int64_t number, std::string_view text);

  /// The same for one file alone, whose number becomes 0.
  RecordSplit of_file(std::int64_t file) const;

  /// Takes the records out of a block that are not in the split; the first one is number `first` of
  /// its file.
  void cut(std::int64_t file, std::int64_t first, TextRecords& records);

 private:
  bool has_hash(std::uint64_t hash) const;
  std::uint64_t hash_of_cells(std::size_t file, std::string_view text);

  bool whole_;
  SplitOptions options_;
  double begin_ = 0, end_ = 1;        // of the numbers that are in the split
  std::vector<std::uint64_t> files_;  // a hash of the name of each file
  CellSplitter splitter_;
  std::vector<std::vector<std::size_t>> cells_;  // of each file, the cells of `by`
};

/// Counts the records of each block that are in the split: an index of the whole files becomes that
/// of the split. Files are read again where their records' cells decide. Collective. Throws
/// Error{bad_input} on all ranks where no record is left.
void cut_index(Communicator<Cpu>& communicator, Stream<Cpu>& stream, const RecordSplit& split,
               Span<const TextFile> files, std::int64_t skip_lines, TextIndex& index);

}  // namespace keyshard
