#include "io/dataset_places.hpp"

#include <algorithm>
#include <map>
#include <memory>

#include "io/hdf5_file.hpp"
#include "io/shard_batch.hpp"
#include "runtime/error.hpp"

namespace keyshard {

FilePieces::FilePieces(const std::string& place, const ManifestFile& file)
    : place_(place + ": " + file.name + ":"), file_bytes_(file.bytes) {}

void FilePieces::add(const TableShape& table, std::int64_t rows, Span<const std::int64_t> offsets) {
  const std::vector<ColumnShape> columns = file_columns(table);
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const auto name = [&] { return table_dataset(table.name, columns[c].name); };
    add(name, {size_of(columns[c].type), columns[c].width, rows}, offsets[c]);
  }
}

void FilePieces::add(const ManifestDense& dense) {
  std::vector<std::int64_t> factors{size_of(dense.type)};
  factors.insert(factors.end(), dense.shape.begin(), dense.shape.end());
  add([&] { return dense_dataset(dense.name); }, factors, dense.offset);
}

/// Adds a dataset of as many bytes as the product of `factors`.
template <class Name>
void FilePieces::add(const Name& name, const std::vector<std::int64_t>& factors,
                     std::int64_t offset) {
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

void FilePieces::sort() {
  std::sort(pieces_.begin(), pieces_.end(),
            [](const Piece& a, const Piece& b) { return a.begin < b.begin; });
}

void FilePieces::require_apart() {
  sort();
  for (std::size_t i = 1; i < pieces_.size(); ++i) {
    const Piece &first = pieces_[i - 1], &second = pieces_[i];
    require(first.end <= second.begin, Kind::corrupt_data,
            "{}{}: expected bytes of its own: found [{}, {}), and {} at [{}, {})", place_,
            second.name, second.begin, second.end, first.name, first.begin, first.end);
  }
}

std::vector<Range> FilePieces::rest() {
  sort();
  std::vector<Range> runs;
  std::int64_t end = 0;
  for (const Piece& piece : pieces_) {
    if (end < piece.begin) {
      runs.push_back({end, piece.begin});
    }
    end = piece.end;
  }
  if (end < file_bytes_) {
    runs.push_back({end, file_bytes_});
  }
  return runs;
}

FilePieces pieces_of(const Manifest& manifest, const ManifestFile& file, std::int64_t rank,
                     const std::string& place) {
  FilePieces pieces(place, file);
  for (const ManifestTable& table : manifest.tables) {
    const std::int64_t rows = table.rows_in(table.writers(manifest.ranks).shards_of(rank));
    pieces.add(table.shape, rows, table.offsets_of(rank));
  }
  if (rank == 0) {
    for (const ManifestDense& dense : manifest.dense) {
      pieces.add(dense);
    }
  }
  return pieces;
}

void require_places(const Manifest& manifest, const std::string& place) {
  if (manifest.format < kPlacedFormat) {
    return;
  }
  std::map<std::string, const ManifestFile*> files;
  for (const ManifestFile& file : manifest.files) {
    files.emplace(file.name, &file);
  }
  for (std::int64_t rank = 0; rank < manifest.ranks; ++rank) {
    const ManifestFile& file = *files.at(rank_file_name(rank, manifest.ranks));
    pieces_of(manifest, file, rank, place).require_apart();
  }
}

Digest128 rest_digest(FileSystem& files, const std::string& path, const std::vector<Range>& rest) {
  constexpr std::int64_t kPiece = std::int64_t{1} << 20;
  const std::unique_ptr<OpenFile> file = files.open(path);
  std::vector<std::byte> room;
  Digest digest;
  for (const Range& run : rest) {
    for (std::int64_t begin = run.begin; begin < run.end; begin += kPiece) {
      const std::int64_t size = std::min(kPiece, run.end - begin);
      room.resize(static_cast<std::size_t>(size));
      const std::int64_t got = file->read(begin, room);
      require(got == size, Kind::corrupt_data, "{}: expected {} bytes at offset {}: found {}", path,
              size, begin, got);
      digest.add(room.data(), room.size());
    }
  }
  return digest.result();
}

std::string table_dataset(const std::string& table, const std::string& column) {
  return "/tables/" + hdf5_part(table) + "/" + column;
}

std::string dense_dataset(const std::string& name) { return "/dense/" + name; }

}  // namespace keyshard
