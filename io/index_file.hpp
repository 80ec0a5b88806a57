// The index of text files, kept in a job's folder so that the next start need not count the records
// again. An entry is used while its file has the same size and time and is cut in the same way; a
// block with another content is found when it is read (text_index.hpp).
// Where an index cannot be read or written, records are counted.
#pragma once

#include <string>
#include <vector>

#include "io/text_index.hpp"

namespace keyshard {

/// The blocks of one file, and everything that the blocks depend on.
struct IndexedFile {
  std::string name;  ///< relative to the folder of the index
  FileStamp stamp;
  std::int64_t block_bytes = 0;  ///< 0: the file is one block
  std::int64_t skip_lines = 0;   ///< the header included
  std::vector<TextBlock> blocks;

  /// Whether the blocks of this entry hold for `other`, which describes the file as it is now.
  bool fits(const IndexedFile& other) const {
    return name == other.name && stamp == other.stamp && stamp.modified_ns >= 0 &&
           block_bytes == other.block_bytes && skip_lines == other.skip_lines;
  }
};

/// The name of a file as an index in `folder` has it.
std::string index_name(const std::string& path, const std::string& folder);

/// An index as text. A name that is no UTF-8 comes back as another name, which fits no file.
std::string index_text(const std::vector<IndexedFile>& files);

/// The files of an index; none where the text is not as index_text made it.
std::vector<IndexedFile> parse_index(const std::string& text);

/// The text of the index of a split; empty where there is none.
std::string read_index(const std::string& folder, Split split);

/// Replaces the index of a split, whole or not at all, if the folder exists and can be written.
void write_index(const std::string& folder, Split split,
                 const std::vector<IndexedFile>& files) noexcept;

}  // namespace keyshard
