#include "io/packed_reader.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/ranges.h>

#include "collectives/vote.hpp"
#include "io/packed_schema.hpp"
#include "io/sliced_reader.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// Consecutive samples of one file.
struct PackedRows {
  std::int64_t first_record = 0;  // in input order, over all files
  std::vector<float> labels, weights, dense;
  std::vector<std::int64_t> id_offsets;  // of the file
  std::vector<Key> ids;
};

/// One open file.
class PackedFile {
 public:
  explicit PackedFile(const std::string& path) : file_(Hdf5File::open(path)) {
    schema_ = read_schema(file_);
    labels_ = file_.open_dataset("labels");
    id_offsets_ = file_.open_dataset("id_offsets");
    const std::int64_t samples = labels_.rows();
    const auto dense = static_cast<std::int64_t>(schema_.dense.size());
    labels_.expect(ElementType::f32, {samples});
    id_offsets_.expect(ElementType::i64, {samples * features() + 1});
    if (schema_.weighted) {
      weights_ = file_.open_dataset("weights");
      weights_.expect(ElementType::f32, {samples});
    }
    if (dense > 0) {
      dense_ = file_.open_dataset("dense");
      dense_.expect(ElementType::f32, {samples, dense});
    }
    if (file_.has("ids")) {
      ids_ = file_.open_dataset("ids");
      ids_count_ = ids_.rows();
      ids_.expect(ElementType::u64, {ids_count_});
    }
    read_blocks();
  }

  const std::string& path() const { return file_.path(); }

  const DataSchema& schema() const { return schema_; }

  const std::vector<std::int64_t>& blocks() const { return blocks_; }

  std::int64_t samples() const { return labels_.rows(); }

  std::int64_t features() const { return static_cast<std::int64_t>(schema_.features.size()); }

  /// Reads samples [first, first + count).
  void read(std::int64_t first, std::int64_t count, PackedRows& out) const {
    const auto rows = static_cast<std::size_t>(count);
    out.labels.resize(rows);
    labels_.read(first, count, out.labels.data());
    if (schema_.weighted) {
      out.weights.resize(rows);
      weights_.read(first, count, out.weights.data());
    }
    if (!schema_.dense.empty()) {
      out.dense.resize(rows * schema_.dense.size());
      dense_.read(first, count, out.dense.data());
    }
    out.id_offsets.resize(rows * schema_.features.size() + 1);
    id_offsets_.read(first * features(), count * features() + 1, out.id_offsets.data());
    require(out.id_offsets.front() >= 0 && out.id_offsets.back() <= ids_count_ &&
                std::is_sorted(out.id_offsets.begin(), out.id_offsets.end()),
            Kind::corrupt_data, "{}: expected ascending id_offsets of at most {}: samples {} to {}",
            path(), ids_count_, first, first + count);
    const std::int64_t ids = out.id_offsets.back() - out.id_offsets.front();
    out.ids.resize(static_cast<std::size_t>(ids));
    if (ids > 0) {
      ids_.read(out.id_offsets.front(), ids, out.ids.data());
    }
  }

 private:
  void read_blocks() {
    const Hdf5Dataset blocks = file_.open_dataset("blocks");
    blocks.expect(ElementType::i64, {blocks.rows()});
    blocks_.resize(static_cast<std::size_t>(blocks.rows()));
    blocks.read(0, blocks.rows(), blocks_.data());
    std::int64_t left = samples();
    for (const std::int64_t block : blocks_) {
      require(block >= 0 && block <= left, Kind::corrupt_data,
              "{}: expected blocks of {} samples in all: found a block of {}", path(), samples(),
              block);
      left -= block;
    }
    require(left == 0, Kind::corrupt_data,
            "{}: expected blocks of {} samples in all: found {} samples in no block", path(),
            samples(), left);
  }

  Hdf5File file_;
  DataSchema schema_;
  Hdf5Dataset labels_, weights_, dense_, id_offsets_, ids_;
  std::int64_t ids_count_ = 0;
  std::vector<std::int64_t> blocks_;
};

/// Where a block lies.
struct PackedBlock {
  std::size_t file = 0;
  std::int64_t first = 0;   // sample of the file
  std::int64_t record = 0;  // in input order, over all files
};

std::vector<std::int64_t> blocks_of(const std::vector<PackedFile>& files) {
  std::vector<std::int64_t> blocks;
  for (const PackedFile& file : files) {
    blocks.insert(blocks.end(), file.blocks().begin(), file.blocks().end());
  }
  return blocks;
}

class PackedReader final : public SlicedReader {
 public:
  PackedReader(const DataOptions& options, const ReadPlan& plan, Communicator<Cpu>& communicator,
               std::vector<PackedFile> files, const Digest128& digest)
      : SlicedReader(files[0].schema(), blocks_of(files), plan, communicator),
        window_records_(options.window),
        progress_(&communicator.progress()),
        files_(std::move(files)),
        digest_(digest),
        windows_(static_cast<std::size_t>(run().size())) {
    std::int64_t record = 0;
    for (std::size_t f = 0; f < files_.size(); ++f) {
      std::int64_t first = 0;
      for (const std::int64_t block : files_[f].blocks()) {
        blocks_.push_back({f, first, record});
        first += block;
        record += block;
      }
    }
  }

  Digest128 index_digest() const override { return digest_; }

 private:
  struct Window {
    std::int64_t number = -1;
    std::vector<PackedRows> pieces;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> places;  // piece, and sample in it
    std::vector<std::uint32_t> order;
  };

  void place_changed() override {
    for (Window& window : windows_) {
      window.number = -1;
    }
  }

  void read_slice(std::int64_t slice, Range taken, Batch& batch) override {
    Window& window = windows_[static_cast<std::size_t>(slice - run().begin)];
    for (std::int64_t at = taken.begin; at < taken.end; ++at) {
      if (at / window_records_ != window.number) {
        load_window(slice, at / window_records_, window);
      }
      const auto i = static_cast<std::size_t>(at % window_records_);
      const auto [piece, sample] = window.places[window.order[i]];
      add(window.pieces[piece], sample, batch);
      batch.sample_numbers.push_back(steps().sample_number(slice, step(), at - taken.begin));
    }
  }

  void add(const PackedRows& rows, std::size_t sample, Batch& batch) const {
    const auto dense = static_cast<std::size_t>(batch.dense_columns);
    const auto features = static_cast<std::size_t>(batch.features);
    batch.records.push_back(rows.first_record + static_cast<std::int64_t>(sample));
    batch.labels.push_back(rows.labels[sample]);
    if (schema().weighted) {
      batch.weights.push_back(rows.weights[sample]);
    }
    const float* x = rows.dense.data() + sample * dense;
    batch.dense.insert(batch.dense.end(), x, x + dense);
    const std::int64_t* offsets = rows.id_offsets.data() + sample * features;
    const Key* ids = rows.ids.data() + (offsets[0] - rows.id_offsets[0]);
    const std::int64_t shift = static_cast<std::int64_t>(batch.ids.size()) - offsets[0];
    batch.ids.insert(batch.ids.end(), ids, ids + (offsets[features] - offsets[0]));
    for (std::size_t f = 1; f <= features; ++f) {
      batch.id_offsets.push_back(offsets[f] + shift);
    }
  }

  void load_window(std::int64_t slice, std::int64_t number, Window& window) {
    const Range own = steps().records_of(slice);
    const std::int64_t begin = own.begin + number * window_records_;
    const auto pieces = epoch_order().pieces(begin, std::min(begin + window_records_, own.end));
    window.number = -1;
    window.pieces.resize(pieces.size());
    window.places.clear();
    for (std::size_t p = 0; p < pieces.size(); ++p) {
      const PackedBlock& block = blocks_[static_cast<std::size_t>(pieces[p].block)];
      files_[block.file].read(block.first + pieces[p].first, pieces[p].count, window.pieces[p]);
      window.pieces[p].first_record = block.record + pieces[p].first;
      for (std::uint32_t i = 0; i < pieces[p].count; ++i) {
        window.places.emplace_back(static_cast<std::uint32_t>(p), i);
      }
      progress_->advance();
    }
    window.order = window_order(plan(), epoch(), slice, number,
                                static_cast<std::int64_t>(window.places.size()));
    window.number = number;
  }

  std::int64_t window_records_;
  Progress* progress_;
  std::vector<PackedFile> files_;
  Digest128 digest_;
  std::vector<PackedBlock> blocks_;
  std::vector<Window> windows_;  // of each slice of this rank
};

void check_schema(const PackedFile& file, const DataSchema& expected) {
  const DataSchema& found = file.schema();
  require(found.dense == expected.dense, Kind::bad_input,
          "{}: expected the dense columns {}: found {}", file.path(),
          fmt::join(expected.dense, " "), fmt::join(found.dense, " "));
  require(found.features == expected.features, Kind::bad_input,
          "{}: expected the features {}: found {}", file.path(), fmt::join(expected.features, " "),
          fmt::join(found.features, " "));
  require(found.weighted == expected.weighted, Kind::bad_input,
          "{}: expected weighted = {}: found {}", file.path(), expected.weighted, found.weighted);
}

}  // namespace

std::unique_ptr<DataReader> make_packed_reader(const DataOptions& options, Split split,
                                               const ReadPlan& plan,
                                               Communicator<Cpu>& communicator) {
  const InPhase phase(communicator.progress(), Phase::indexing);
  std::vector<PackedFile> files;
  Digest digest;
  vote(communicator, [&] {
    for (const std::string& path : options.files(split)) {
      files.emplace_back(path);
      check_schema(files.back(), options.columns.empty() ? files[0].schema() : options.schema());
      digest.add(Span<const std::int64_t>(files.back().blocks()));
    }
  });
  const std::vector<Digest128> all = communicator.gather_values(digest.result());
  require(std::count(all.begin(), all.end(), all.front()) == communicator.size(), Kind::bad_input,
          "expected the same files on all ranks: found other blocks on some of {} ranks",
          communicator.size());
  return std::make_unique<PackedReader>(options, plan, communicator, std::move(files),
                                        digest.result());
}

}  // namespace keyshard
