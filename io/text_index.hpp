// The blocks of text files: byte ranges with the number of records in each. A record belongs to the
// block that holds its first byte. A file without random access is one block. All ranks and threads
// count records together at the start, unless an index of the same files is kept (index_file.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "io/byte_source.hpp"
#include "io/data_options.hpp"
#include "io/text_files.hpp"
#include "runtime/digest.hpp"

namespace keyshard {

/// Where the records of a file begin, after the skipped lines and the header.
struct TextStart {
  std::int64_t offset = 0;
  std::int64_t line = 1;  ///< number of the line there
  std::string header;
  std::int64_t header_line = 0;
  /// Where the data has no header: the first record, which says how many cells a record has.
  std::string first_record;
  std::int64_t first_record_line = 0;
  bool empty = false;  ///< no record follows
};

struct TextBlock {
  std::int64_t file = 0;
  std::int64_t begin = 0;  ///< bytes of the file, unpacked
  std::int64_t end = 0;
  std::int64_t records = 0;
  std::int64_t lines = 0;  ///< lines that start in the block, empty ones too
  Digest128 content = {};  ///< of these lines; of the records of a file that is one block
};

struct TextIndex {
  std::vector<TextStart> starts;  ///< of each file
  std::vector<TextBlock> blocks;
  std::vector<std::int64_t> first_lines;    ///< number of the first line of each block, from 1
  std::vector<std::int64_t> first_in_file;  ///< records of its file before each block
  /// Records of each block in the split: all, or the share that data.split gives to it.
  std::vector<std::int64_t> block_records;
  std::vector<std::int64_t> first_records;  ///< such records before each block, in input order
  std::int64_t records = 0;                 ///< such records of all blocks

  /// Sets the numbers of records in the split, of each block.
  void take_counts(std::vector<std::int64_t> counts);

  /// What a user is told about the files: those without records, which are skipped, and what was
  /// taken for a header though no name shows that it is one. Empty: nothing.
  std::string note(const DataOptions& options, Split split) const;

  /// Of sizes and counts, without names.
  Digest128 digest() const;
  /// Of what the blocks contain.
  Digest128 content_digest() const;
};

/// Counts the records of all files, except those whose index in `options.index_folder` still fits
/// on all ranks, and keeps the new index there. Files without records have no part in the index.
/// Collective. Throws Error{bad_input} on all ranks where two ranks see files of different sizes,
/// and where no file has a record.
TextIndex make_text_index(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                          const DataOptions& options, Split split,
                          const std::vector<TextFile>& files);

/// The records of a block: its text, and where each record lies in it.
struct TextRecords {
  std::string bytes;
  std::vector<std::string_view> records;
  std::vector<std::int64_t> lines;  ///< number of the line of each
};

/// All records of a block. Throws Error{bad_input} where the block does not contain what was
/// counted.
void read_block(const ByteSource& source, const TextBlock& block, std::int64_t first_line,
                TextRecords& out);

}  // namespace keyshard
