#include "io/dataset_places.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include "io/hdf5_file.hpp"
#include "io/shard_batch.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// The datasets of one file, added one by one.
class FilePieces {
 public:
  FilePieces(const std::string& place, const ManifestFile& file)
      : place_(place + ": " + file.name + ":"), file_bytes_(file.bytes) {}

  void add(const ManifestTable& table, std::int64_t rank, std::int64_t ranks) {
    const std::int64_t rows = table.rows_in(table.writers(ranks).shards_of(rank));
    const std::vector<ColumnShape> columns = file_columns(table.shape);
    const Span<const std::int64_t> offsets = table.offsets_of(rank);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const auto name = [&] { return table_dataset(table.shape.name, columns[c].name); };
      add(name, {size_of(columns[c].type), columns[c].width, rows}, offsets[c]);
    }
  }

  void add(const ManifestDense& dense) {
    std::vector<std::int64_t> factors{size_of(dense.type)};
    factors.insert(factors.end(), dense.shape.begin(), dense.shape.end());
    add([&] { return dense_dataset(dense.name); }, factors, dense.offset);
  }

  void require_apart() {
    std::sort(pieces_.begin(), pieces_.end(),
              [](const Piece& a, const Piece& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < pieces_.size(); ++i) {
      const Piece &first = pieces_[i - 1], &second = pieces_[i];
      require(first.end <= second.begin, Kind::corrupt_data,
              "{}{}: expected bytes of its own: found [{}, {}), and {} at [{}, {})", place_,
              second.name, second.begin, second.end, first.name, first.begin, first.end);
    }
  }

 private:
  /// The bytes [begin, end) of a dataset.
  struct Piece {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::string name;
  };

  /// A dataset of as many bytes as the product of `factors`.
  template <class Name>
  void add(const Name& name, const std::vector<std::int64_t>& factors, std::int64_t offset) {
    const bool empty = std::find(factors.begin(), factors.end(), 0) != factors.end();
    std::int64_t bytes = empty ? 0 : 1;
    for (const std::int64_t factor : factors) {
      require(empty || bytes <= file_bytes_ / factor, Kind::corrupt_data,
              "{}{}: expected a dataset that fits its file of {} bytes: found {} times {}", place_,
              name(), file_bytes_, bytes, factor);
      bytes *= factor;
    }
    require(offset <= file_bytes_ - bytes, Kind::corrupt_data,
            "{}{}: expected {} bytes inside a file of {}: found them at offset {}", place_, name(),
            bytes, file_bytes_, offset);
    if (bytes > 0) {
      pieces_.push_back({offset, offset + bytes, name()});
    }
  }

  std::string place_;  // in front of the name of a dataset
  std::int64_t file_bytes_;
  std::vector<Piece> pieces_;
};

}  // namespace

void require_places(const Manifest& manifest, const std::string& place) {
  if (manifest.format < kPlacedFormat) {
    return;
  }
  std::map<std::string, const ManifestFile*> files;
  for (const ManifestFile& file : manifest.files) {
    files.emplace(file.name, &file);
  }
  for (std::int64_t rank = 0; rank < manifest.ranks; ++rank) {
    FilePieces pieces(place, *files.at(rank_file_name(rank, manifest.ranks)));
    for (const ManifestTable& table : manifest.tables) {
      pieces.add(table, rank, manifest.ranks);
    }
    if (rank == 0) {
      for (const ManifestDense& dense : manifest.dense) {
        pieces.add(dense);
      }
    }
    pieces.require_apart();
  }
}

std::string table_dataset(const std::string& table, const std::string& column) {
  return "/tables/" + hdf5_part(table) + "/" + column;
}

std::string dense_dataset(const std::string& name) { return "/dense/" + name; }

}  // namespace keyshard
