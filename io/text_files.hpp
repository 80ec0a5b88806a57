// The text files of a split, opened: with random access where that is possible. Plain files are
// read by position; a pipe, standard input, and compressed files that fit data.memory_bytes are
// held in memory; other compressed files are unpacked again in each pass.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "io/byte_source.hpp"
#include "io/data_options.hpp"

namespace keyshard {

/// A file whose stamp is the same counts as unchanged.
struct FileStamp {
  std::int64_t bytes = 0;         ///< as it lies on the disk
  std::int64_t modified_ns = -1;  ///< since 1970; -1: not known, as of a pipe

  bool operator==(const FileStamp&) const = default;
};

struct TextFile {
  std::string path;
  FileStamp stamp;
  std::unique_ptr<ByteSource> bytes;  ///< null: read in one pass, from `path`
};

struct TextFiles {
  ReadOrder order = ReadOrder::blocks;  ///< never automatic
  std::vector<TextFile> files;
};

/// Whether a path is a named pipe or standard input ("-"), which can be read only once. Throws
/// Error{bad_input} where the path does not exist.
bool is_pipe(const std::string& path);

/// Opens the files of a split in the order that the options ask for. Automatic is `blocks` where
/// all compressed files fit data.memory_bytes, else `files` where the split has at least as many
/// files as slices, else `stream`. Rank 0 reads a pipe (standard input is "-") to its end and gives
/// the bytes to all ranks. Collective. Throws Error{bad_input} naming file and reason, on all
/// ranks.
TextFiles open_text_files(const DataOptions& options, Split split, std::int64_t slices,
                          Communicator<Cpu>& communicator);

}  // namespace keyshard
