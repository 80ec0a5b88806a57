// A checkpoint whose rows are not those that were saved.
#pragma once

#include <fstream>
#include <string>

#include "io/manifest_file.hpp"

namespace keyshard::testing {

/// Sets the first byte of the first column of the last table of a checkpoint, in the file of a
/// rank, to another value.
inline void damage_row(const std::string& checkpoint, std::int64_t rank, std::int64_t ranks) {
  LocalFileSystem files;
  const std::int64_t at = read_manifest(files, checkpoint).tables.back().offsets_of(rank)[1];
  std::fstream file(checkpoint + "/" + rank_file_name(rank, ranks),
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const int before = file.get();
  file.seekp(at);
  file.put(static_cast<char>(before ^ 1));
}

}  // namespace keyshard::testing
