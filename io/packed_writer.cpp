#include "io/packed_writer.hpp"

#include <algorithm>
#include <filesystem>

#include "io/bad_lines.hpp"
#include "io/make_reader.hpp"
#include "io/packed_rows.hpp"
#include "io/packed_schema.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kStepRecords = 16'384;

ReadPlan input_order() {
  ReadPlan plan;
  plan.batch_size = kStepRecords;
  plan.slices = 1;
  plan.shuffle = false;
  return plan;
}

/// Numbers of samples and ids, and the samples of each block, without bad lines.
struct Sizes {
  PackedCounts counts;
  std::vector<std::int64_t> blocks;
};

Sizes count(DataReader& reader, Communicator<Cpu>& communicator, std::int64_t bad_lines_allowed) {
  Sizes sizes;
  sizes.counts.note = reader.note();
  BadLines bad_lines(bad_lines_allowed);
  std::vector<std::int64_t> ends;  // of blocks, in records
  for (const std::int64_t records : reader.block_records()) {
    ends.push_back((ends.empty() ? 0 : ends.back()) + records);
  }
  sizes.blocks.resize(ends.size());
  Batch batch;
  std::size_t block = 0;
  while (reader.next(batch)) {
    bad_lines.add(communicator, batch);
    sizes.counts.samples += batch.samples();
    sizes.counts.ids += static_cast<std::int64_t>(batch.ids.size());
    for (const std::int64_t record : batch.records) {
      while (record >= ends[block]) {
        ++block;
      }
      ++sizes.blocks[block];
    }
  }
  sizes.counts.bad_lines = bad_lines.counts().total;
  return sizes;
}

/// The datasets of a file. Samples come in batches, and are written in the pieces of their blocks.
class Columns {
 public:
  Columns(Hdf5File& file, const DataSchema& schema, const Sizes& sizes)
      : features_(std::ssize(schema.features)), blocks_(sizes.blocks) {
    const std::int64_t samples = sizes.counts.samples;
    const auto dense = std::ssize(schema.dense);
    labels_ = file.create_dataset("labels", ElementType::f32, {samples});
    id_offsets_ = file.create_dataset("id_offsets", ElementType::i64, {samples * features_ + 1});
    if (schema.weighted) {
      weights_ = file.create_dataset("weights", ElementType::f32, {samples});
    }
    if (dense > 0) {
      dense_ = file.create_dataset("dense", ElementType::f32, {samples, dense});
    }
    if (sizes.counts.ids > 0) {
      ids_ = file.create_dataset("ids", ElementType::u64, {sizes.counts.ids});
      if (!schema.weighted_features.empty()) {
        id_weights_ = file.create_dataset("id_weights", ElementType::f32, {sizes.counts.ids});
      }
    }
    begin_piece();
  }

  void add(const Batch& batch) {
    const auto dense = batch.dense_columns;
    for (std::int64_t s = 0; s < batch.samples(); ++s) {
      const auto sample = static_cast<std::size_t>(s);
      piece_.labels.push_back(batch.labels[sample]);
      if (!batch.weights.empty()) {
        piece_.weights.push_back(batch.weights[sample]);
      }
      const float* x = batch.dense.data() + s * dense;
      piece_.dense.insert(piece_.dense.end(), x, x + dense);
      const std::int64_t* offsets = batch.id_offsets.data() + s * features_;
      for (std::int64_t f = 1; f <= features_; ++f) {
        piece_.id_offsets.push_back(piece_.id_offsets.back() + offsets[f] - offsets[f - 1]);
      }
      piece_.ids.insert(piece_.ids.end(), batch.ids.data() + offsets[0],
                        batch.ids.data() + offsets[features_]);
      if (!batch.id_weights.empty()) {
        piece_.id_weights.insert(piece_.id_weights.end(), batch.id_weights.data() + offsets[0],
                                 batch.id_weights.data() + offsets[features_]);
      }
      if (piece_.samples() == piece_size_) {
        write_piece();
      }
    }
  }

  const std::vector<Digest128>& digests() const { return digests_; }

 private:
  /// Finds the size of the next piece, which may be in a later block.
  void begin_piece() {
    while (block_ < blocks_.size() && taken_ == blocks_[block_]) {
      ++block_;
      taken_ = 0;
    }
    piece_size_ = block_ < blocks_.size() ? std::min(kPieceSamples, blocks_[block_] - taken_) : 0;
    piece_.labels.clear();
    piece_.weights.clear();
    piece_.dense.clear();
    piece_.ids.clear();
    piece_.id_weights.clear();
    piece_.id_offsets.assign(1, id_);
  }

  void write_piece() {
    const std::int64_t samples = piece_.samples(), ids = std::ssize(piece_.ids);
    labels_.write(sample_, samples, piece_.labels.data());
    id_offsets_.write(sample_ * features_, samples * features_ + 1, piece_.id_offsets.data());
    if (!piece_.weights.empty()) {
      weights_.write(sample_, samples, piece_.weights.data());
    }
    if (!piece_.dense.empty()) {
      dense_.write(sample_, samples, piece_.dense.data());
    }
    if (ids > 0) {
      ids_.write(id_, ids, piece_.ids.data());
    }
    if (!piece_.id_weights.empty()) {
      id_weights_.write(id_, ids, piece_.id_weights.data());
    }
    digests_.push_back(piece_.digest(0, samples));
    sample_ += samples;
    taken_ += samples;
    id_ += ids;
    begin_piece();
  }

  std::int64_t features_;
  std::vector<std::int64_t> blocks_;
  std::size_t block_ = 0;    // of the piece
  std::int64_t taken_ = 0;   // samples of the block before the piece
  std::int64_t sample_ = 0;  // samples before the piece
  std::int64_t id_ = 0;      // ids before the piece
  std::int64_t piece_size_ = 0;
  PackedRows piece_;
  std::vector<Digest128> digests_;  // of the pieces that were written
  Hdf5Dataset labels_, weights_, dense_, id_offsets_, ids_, id_weights_;
};

void write_digests(Hdf5File& file, const std::vector<Digest128>& digests) {
  std::vector<std::uint64_t> halves;
  for (const Digest128& digest : digests) {
    halves.push_back(digest.low);
    halves.push_back(digest.high);
  }
  file.write("digests", ElementType::u64, {std::ssize(digests), 2}, halves.data());
}

void write_file(DataReader& reader, const Sizes& sizes, const std::string& path) {
  Hdf5File file = Hdf5File::create(path);
  file.write("blocks", ElementType::i64, {std::ssize(sizes.blocks)}, sizes.blocks.data());
  std::vector<Digest128> digests;
  {
    Columns columns(file, reader.schema(), sizes);
    Batch batch;
    while (reader.next(batch)) {
      columns.add(batch);
    }
    digests = columns.digests();
  }
  write_digests(file, digests);
  const std::string schema = schema_text(reader.schema());
  write_content(file, schema, packed_digest(schema, sizes.blocks, digests).hex());
  file.close();
}

}  // namespace

PackedCounts write_packed(const DataOptions& options, Split split, const std::string& path,
                          Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
  require(communicator.size() == 1, Kind::invalid_argument,
          "expected one rank to convert data: found {}", communicator.size());
  require(!std::filesystem::exists(path), Kind::io, "{}: expected no file: found one", path);
  const auto reader = make_reader(options, split, input_order(), communicator, stream);
  const Sizes sizes = count(*reader, communicator, options.max_bad_lines);
  require(sizes.counts.samples > 0, Kind::bad_input, "{}: expected records: found none", path);
  const std::string unfinished = path + ".tmp";
  std::filesystem::remove(unfinished);
  write_file(*reader, sizes, unfinished);
  std::error_code error;
  std::filesystem::rename(unfinished, path, error);
  require(!error, Kind::io, "{}: cannot be renamed: {}", unfinished, error.message());
  return sizes.counts;
}

}  // namespace keyshard
