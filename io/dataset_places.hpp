// Where the datasets of a checkpoint lie in the files of its ranks, as the manifest says it: each
// whole inside its file, and no two on the same bytes. So a load can read rows without HDF5. The
// bytes between the datasets are the rest of a file: they have a digest of their own, so that a
// load which checks what it reads has checked all of a file when it has read all datasets.
#pragma once

#include <string>
#include <vector>

#include "io/file_system.hpp"
#include "io/manifest.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// Throws Error{corrupt_data} with `place`, file and dataset where a dataset of the manifest does
/// not lie whole in its file (by the size of the file that the manifest gives) or shares bytes with
/// another one. Checks nothing in formats 1 and 2, which name no places.
void require_places(const Manifest& manifest, const std::string& place);

/// The bytes of a file, to which datasets are added one by one.
class FilePieces {
 public:
  /// `place` stands in front of messages.
  FilePieces(const std::string& place, const ManifestFile& file);

  /// Adds the datasets of `rows` rows, which begin at `offsets` [1 + columns]. Throws
  /// Error{corrupt_data} for those that are not whole inside the file.
  void add(const TableShape& table, std::int64_t rows, Span<const std::int64_t> offsets);
  void add(const ManifestDense& dense);

  /// Throws Error{corrupt_data} where two datasets share bytes.
  void require_apart();

  /// The runs of bytes that belong to no dataset, ascending.
  std::vector<Range> rest();

 private:
  /// The bytes [begin, end) of a dataset.
  struct Piece {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::string name;
  };

  template <class Name>
  void add(const Name& name, const std::vector<std::int64_t>& factors, std::int64_t offset);
  void sort();

  std::string place_;
  std::int64_t file_bytes_;
  std::vector<Piece> pieces_;
};

/// The datasets in `file`, that of a rank.
FilePieces pieces_of(const Manifest& manifest, const ManifestFile& file, std::int64_t rank,
                     const std::string& place);

/// The digest of the bytes of these runs of a file, in their order.
Digest128 rest_digest(FileSystem& files, const std::string& path, const std::vector<Range>& rest);

/// "/tables/NAME/COLUMN": a dataset of a table in a file.
std::string table_dataset(const std::string& table, const std::string& column);
/// "/dense/NAME".
std::string dense_dataset(const std::string& name);

}  // namespace keyshard
