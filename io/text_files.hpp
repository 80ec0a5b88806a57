// The text files of a split, opened: with random access where that is possible. Plain files are
// read where they lie; a pipe, standard input, and compressed files that fit the memory allowed are
// held in memory; other compressed files are unpacked again whenever they are read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "io/byte_source.hpp"
#include "io/data_options.hpp"

namespace keyshard {

/// By what a file is known not to have changed.
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

/// Whether a path is a named pipe or standard input ("-"): something that can be read once. Throws
/// Error{bad_input} where there is nothing.
bool is_pipe(const std::string& path);

/// Opens the files of a split in the order that the options ask for. Automatic is `blocks` where
/// everything has random access, `files` where there are at least as many files as slices, and else
/// `stream`. A pipe (standard input is "-") is read to its end by rank 0 and given to all.
/// Collective. Throws Error{bad_input} on all ranks, naming file and reason, and the bytes where
/// they are more than data.memory_bytes.
TextFiles open_text_files(const DataOptions& options, Split split, std::int64_t slices,
                          Communicator<Cpu>& communicator);

}  // namespace keyshard
