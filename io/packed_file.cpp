#include "io/packed_file.hpp"

#include <algorithm>

#include "runtime/error.hpp"

namespace keyshard {

PackedFile::Open::Open(const std::string& path, const PackedContent& content)
    : file(Hdf5File::open(path)) {
  const PackedContent found = read_content(file);
  require(found == content, Kind::corrupt_data,
          "{}: expected the file of the start: found another one in its place", path);
  const auto features = std::ssize(content.schema.features),
             columns = std::ssize(content.schema.dense);
  labels = file.open_dataset("labels");
  id_offsets = file.open_dataset("id_offsets");
  const std::int64_t samples = labels.rows();
  labels.expect(ElementType::f32, {samples});
  id_offsets.expect(ElementType::i64, {samples * features + 1});
  if (content.schema.weighted) {
    weights = file.open_dataset("weights");
    weights.expect(ElementType::f32, {samples});
  }
  if (columns > 0) {
    dense = file.open_dataset("dense");
    dense.expect(ElementType::f32, {samples, columns});
  }
  if (file.has("ids")) {
    ids = file.open_dataset("ids");
    ids_count = ids.rows();
    ids.expect(ElementType::u64, {ids_count});
  }
  if (ids_count > 0 && !content.schema.weighted_features.empty()) {
    id_weights = file.open_dataset("id_weights");
    id_weights.expect(ElementType::f32, {ids_count});
  }
}

PackedFile::PackedFile(const std::string& path) : path_(path) {
  content_ = read_content(Hdf5File::open(path));
  Open& opened = open();
  read_blocks(opened.file, opened.labels.rows());
  pieces_before_ = pieces_before(blocks_);
  if (content_.version == kPackedVersion) {
    read_digests(opened.file);
  }
}

PackedFile::Open& PackedFile::open() {
  if (!open_) {
    open_ = std::make_unique<Open>(path_, content_);
  }
  return *open_;
}

void PackedFile::read_blocks(const Hdf5File& file, std::int64_t samples) {
  const Hdf5Dataset blocks = file.open_dataset("blocks");
  blocks.expect(ElementType::i64, {blocks.rows()});
  blocks_.resize(static_cast<std::size_t>(blocks.rows()));
  blocks.read(0, blocks.rows(), blocks_.data());
  std::int64_t left = samples;
  for (const std::int64_t block : blocks_) {
    require(block >= 0 && block <= left, Kind::corrupt_data,
            "{}: expected blocks of {} samples in all: found a block of {}", path_, samples, block);
    left -= block;
  }
  require(left == 0, Kind::corrupt_data,
          "{}: expected blocks of {} samples in all: found {} samples in no block", path_, samples,
          left);
}

void PackedFile::read_digests(const Hdf5File& file) {
  const Hdf5Dataset digests = file.open_dataset("digests");
  digests.expect(ElementType::u64, {pieces_before_.back(), 2});
  std::vector<std::uint64_t> halves(static_cast<std::size_t>(2 * pieces_before_.back()));
  digests.read(0, digests.rows(), halves.data());
  for (std::size_t i = 0; i < halves.size(); i += 2) {
    pieces_.push_back({halves[i], halves[i + 1]});
  }
  require(packed_digest(content_.schema_text, blocks_, pieces_).hex() == content_.digest,
          Kind::corrupt_data,
          "{}: expected a schema, blocks and digests that fit the file's digest: found others; the "
          "file is damaged: convert its text again",
          path_);
}

std::int64_t PackedFile::read(std::int64_t block, std::int64_t begin, Range samples,
                              PackedRows& out) {
  const std::int64_t size = blocks_[static_cast<std::size_t>(block)];
  const std::int64_t first = samples.begin / kPieceSamples * kPieceSamples;
  const std::int64_t end =
      std::min(size, (samples.end + kPieceSamples - 1) / kPieceSamples * kPieceSamples);
  read_rows(begin + first, end - first, out);
  if (content_.version == kPackedVersion) {
    std::int64_t piece = pieces_before_[static_cast<std::size_t>(block)] + first / kPieceSamples;
    for (std::int64_t at = first; at < end; at += kPieceSamples, ++piece) {
      const std::int64_t count = std::min(kPieceSamples, end - at);
      require(out.digest(at - first, count) == pieces_[static_cast<std::size_t>(piece)],
              Kind::corrupt_data,
              "{}: expected samples {} to {} as they were written: found other bytes; the file is "
              "damaged: convert its text again",
              path_, begin + at, begin + at + count - 1);
    }
  }
  return samples.begin - first;
}

/// Reads samples [first, first + count) of the file.
void PackedFile::read_rows(std::int64_t first, std::int64_t count, PackedRows& out) {
  const Open& file = open();
  const auto rows = static_cast<std::size_t>(count);
  out.labels.resize(rows);
  file.labels.read(first, count, out.labels.data());
  if (schema().weighted) {
    out.weights.resize(rows);
    file.weights.read(first, count, out.weights.data());
  }
  if (!schema().dense.empty()) {
    out.dense.resize(rows * schema().dense.size());
    file.dense.read(first, count, out.dense.data());
  }
  out.id_offsets.resize(rows * schema().features.size() + 1);
  file.id_offsets.read(first * features(), count * features() + 1, out.id_offsets.data());
  require(out.id_offsets.front() >= 0 && out.id_offsets.back() <= file.ids_count &&
              std::is_sorted(out.id_offsets.begin(), out.id_offsets.end()),
          Kind::corrupt_data, "{}: expected ascending id_offsets of at most {}: samples {} to {}",
          path_, file.ids_count, first, first + count);
  const std::int64_t ids = out.id_offsets.back() - out.id_offsets.front();
  out.ids.resize(static_cast<std::size_t>(ids));
  if (ids > 0) {
    file.ids.read(out.id_offsets.front(), ids, out.ids.data());
  }
  if (!schema().weighted_features.empty()) {
    out.id_weights.resize(out.ids.size());
    if (ids > 0) {
      file.id_weights.read(out.id_offsets.front(), ids, out.id_weights.data());
    }
  }
}

}  // namespace keyshard
