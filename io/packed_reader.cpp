#include "io/packed_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <string_view>

#include "collectives/vote.hpp"
#include "io/packed_file.hpp"
#include "io/sliced_reader.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kOpenFiles = 32;  // of a split

/// Where a block lies.
struct PackedBlock {
  std::size_t file = 0;
  std::int64_t number = 0;  // in the file
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

/// The padding id of each feature; empty where none has one.
std::vector<std::optional<Key>> padding_of(const DataOptions& options) {
  std::vector<std::optional<Key>> padding;
  bool any = false;
  for (const ColumnOptions& column : options.columns) {
    if (column.is_feature()) {
      padding.push_back(column.padding_key());
      any |= padding.back().has_value();
    }
  }
  return any ? padding : std::vector<std::optional<Key>>{};
}

class PackedReader final : public SlicedReader {
 public:
  PackedReader(const DataOptions& options, const ReadPlan& plan, Communicator<Cpu>& communicator,
               std::vector<PackedFile> files, const Digest128& digest)
      : SlicedReader(files[0].schema(), blocks_of(files), plan, communicator),
        window_records_(options.window),
        labels_(options.labels),
        padding_(padding_of(options)),
        progress_(&communicator.progress()),
        files_(std::move(files)),
        digest_(digest),
        windows_(static_cast<std::size_t>(run().size())) {
    std::int64_t record = 0;
    for (std::size_t f = 0; f < files_.size(); ++f) {
      std::int64_t first = 0;
      std::int64_t number = 0;
      for (const std::int64_t block : files_[f].blocks()) {
        blocks_.push_back({f, number++, first, record});
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
    const std::int64_t first = offsets[0] - rows.id_offsets[0], n = offsets[features] - offsets[0];
    const std::int64_t shift = static_cast<std::int64_t>(batch.ids.size()) - offsets[0];
    if (!padding_.empty()) {
      add_bags(rows, offsets, batch);
      return;
    }
    batch.ids.insert(batch.ids.end(), rows.ids.data() + first, rows.ids.data() + first + n);
    if (!rows.id_weights.empty()) {
      const float* weights = rows.id_weights.data() + first;
      batch.id_weights.insert(batch.id_weights.end(), weights, weights + n);
    }
    for (std::size_t f = 1; f <= features; ++f) {
      batch.id_offsets.push_back(offsets[f] + shift);
    }
  }

  /// Adds the bags of a sample without the ids that are padding.
  void add_bags(const PackedRows& rows, const std::int64_t* offsets, Batch& batch) const {
    for (std::size_t f = 0; f < padding_.size(); ++f) {
      for (std::int64_t at = offsets[f]; at < offsets[f + 1]; ++at) {
        const auto i = static_cast<std::size_t>(at - rows.id_offsets[0]);
        if (rows.ids[i] == padding_[f]) {
          continue;
        }
        batch.ids.push_back(rows.ids[i]);
        if (!rows.id_weights.empty()) {
          batch.id_weights.push_back(rows.id_weights[i]);
        }
      }
      batch.id_offsets.push_back(static_cast<std::int64_t>(batch.ids.size()));
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
      const auto before = static_cast<std::uint32_t>(load_piece(pieces[p], window.pieces[p]));
      for (std::uint32_t i = 0; i < pieces[p].count; ++i) {
        window.places.emplace_back(static_cast<std::uint32_t>(p), before + i);
      }
      progress_->advance();
    }
    window.order = window_order(plan(), epoch(), slice, number,
                                static_cast<std::int64_t>(window.places.size()));
    window.number = number;
  }

  /// Reads a piece of a block. Returns how many samples in `rows` lie before it.
  std::int64_t load_piece(const BlockPiece& piece, PackedRows& rows) {
    const PackedBlock& block = blocks_[static_cast<std::size_t>(piece.block)];
    PackedFile& file = files_[block.file];
    if (!file.is_open()) {
      open_.push_back(block.file);
      if (std::ssize(open_) > kOpenFiles) {
        files_[open_.front()].close();
        open_.pop_front();
      }
    }
    const std::int64_t before =
        file.read(block.number, block.first, {piece.first, piece.first + piece.count}, rows);
    rows.first_record = block.record + piece.first - before;
    check_numbers(rows, labels_, file.path(), block.first + piece.first - before);
    return before;
  }

  std::int64_t window_records_;
  LabelRange labels_;
  std::vector<std::optional<Key>> padding_;  // of each feature; empty: none has one
  Progress* progress_;
  std::deque<std::size_t> open_;  // files, the one that was opened first in front
  std::vector<PackedFile> files_;
  Digest128 digest_;
  std::vector<PackedBlock> blocks_;
  std::vector<Window> windows_;  // of each slice of this rank
};

void check_schema(const PackedFile& file, const DataSchema& expected) {
  const DataSchema& found = file.schema();
  require(found.dense == expected.dense, Kind::bad_input,
          "{}: expected the dense columns {}: found {}", file.path(), joined(expected.dense, " "),
          joined(found.dense, " "));
  require(found.features == expected.features, Kind::bad_input,
          "{}: expected the features {}: found {}", file.path(), joined(expected.features, " "),
          joined(found.features, " "));
  require(found.weighted == expected.weighted, Kind::bad_input,
          "{}: expected weighted = {}: found {}", file.path(), expected.weighted, found.weighted);
  require(found.weighted_features == expected.weighted_features, Kind::bad_input,
          "{}: expected weights of the ids of the features [{}]: found those of [{}]", file.path(),
          joined(expected.weighted_features, " "), joined(found.weighted_features, " "));
  require(found.masked_features == expected.masked_features, Kind::bad_input,
          "{}: expected a mask on the ids of the features [{}]: found one on those of [{}]; a mask "
          "is applied when text is converted",
          file.path(), joined(expected.masked_features, " "), joined(found.masked_features, " "));
}

/// Refuses what is no HDF5 file by the key that names it, in words that HDF5 does not have.
void require_hdf5(const std::string& path, Split split) {
  constexpr std::string_view kSignature("\x89HDF\r\n\x1A\n", 8);
  std::error_code error;
  const bool folder = std::filesystem::is_directory(path, error);
  std::ifstream file(path, std::ios::binary);
  const int reason = errno;
  require(!folder && file.is_open(), Kind::bad_input, "data.{}: {}: expected a packed file: {}",
          name_of(split), path, folder ? "found a folder" : std::strerror(reason));
  std::string first(kSignature.size(), '\0');
  file.read(first.data(), static_cast<std::streamsize>(first.size()));
  require(
      first == kSignature, Kind::bad_input,
      "{}: expected a packed file, as keyshard convert writes it (data.{}): found no HDF5 file; "
      "data.format = \"text\" reads text",
      path, name_of(split));
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
      require_hdf5(path, split);
      files.emplace_back(path);
      files.back().close();
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
