// A packed file that is read (packed_schema.hpp): its blocks, and samples of a block. What is read
// is checked against the digests of the file; files of version 1 have none. A file keeps what it
// knows when it gives its descriptor back, and opens again when it is read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/hdf5_file.hpp"
#include "io/packed_rows.hpp"
#include "io/packed_schema.hpp"

namespace keyshard {

class PackedFile {
 public:
  /// Opens a file and reads all of it but the samples. Throws Error{corrupt_data} naming the file.
  explicit PackedFile(const std::string& path);

  const std::string& path() const noexcept { return path_; }

  const DataSchema& schema() const noexcept { return content_.schema; }

  /// Samples of each block.
  const std::vector<std::int64_t>& blocks() const noexcept { return blocks_; }

  bool is_open() const noexcept { return open_ != nullptr; }

  void close() { open_.reset(); }

  /// Reads the samples [first, first + count) of a block whose first sample is number `begin` of
  /// the file, and those beside them that share a piece with them. Returns how many samples of
  /// `out` lie before sample `first`. Throws Error{corrupt_data} where a piece has another digest.
  std::int64_t read(std::int64_t block, std::int64_t begin, Range samples, PackedRows& out);

 private:
  /// The datasets of an open file.
  struct Open {
    Open(const std::string& path, const PackedContent& content);

    Hdf5File file;
    Hdf5Dataset labels, weights, dense, id_offsets, ids, id_weights;
    std::int64_t ids_count = 0;
  };

  std::int64_t features() const { return std::ssize(content_.schema.features); }

  void read_rows(std::int64_t first, std::int64_t count, PackedRows& out);
  void read_digests(const Hdf5File& file);
  void read_blocks(const Hdf5File& file, std::int64_t samples);
  Open& open();

  std::string path_;
  PackedContent content_;
  std::vector<std::int64_t> blocks_;
  std::vector<std::int64_t> pieces_before_;  // [blocks + 1]
  std::vector<Digest128> pieces_;            // empty: version 1
  std::unique_ptr<Open> open_;
};

}  // namespace keyshard
