#include "io/rank_file.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include "io/shard_batch.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// Bytes that go to HDF5 at once.
constexpr std::int64_t kWrittenBytes = std::int64_t{16} << 20;
/// Bytes that are worth a call to send them to the disk while others are made.
constexpr std::int64_t kSyncedBytes = std::int64_t{1} << 20;
/// Bytes that a thread reads before it works on them: they stay in its cache.
constexpr std::int64_t kCachedBytes = std::int64_t{1} << 19;

void copy_shard(RankFileWork& work, const TableSource& table, ShardBatch& batch, std::int64_t shard,
                Digest128* digests) {
  const Span<Key> keys = batch.keys_of(shard);
  {
    const TimedPart timed(work.times.copy);
    table.copy(shard, keys, batch.columns_of(shard));
  }
  require(std::adjacent_find(keys.begin(), keys.end(), std::greater_equal<>()) == keys.end(),
          Kind::invalid_argument,
          "table {}: expected the keys of shard {} in ascending order: found others",
          table.shape.name, shard);
  const TimedPart timed(work.times.digest);
  for (std::size_t c = 0; c < batch.columns().size(); ++c) {
    digests[c] = batch.digest(shard, c);
  }
}

/// Bytes of the rows of a batch.
std::int64_t batch_bytes(const ShardBatch& batch) {
  std::int64_t bytes = 0;
  for (std::size_t c = 0; c < batch.columns().size(); ++c) {
    bytes += batch.rows() * batch.row_bytes(c);
  }
  return bytes;
}

/// The datasets of a table's columns, written batch by batch.
class TableColumns {
 public:
  TableColumns(RankFileWork& work, Hdf5File& file, const TableShape& table, std::int64_t rows)
      : work_(work), path_(file.path()) {
    for (const ColumnShape& column : file_columns(table)) {
      datasets_.push_back(file.create_dataset(table_dataset(table.name, column.name), column.type,
                                              file_shape(column, rows)));
    }
  }

  /// Writes the rows of a batch from row `begin` on; large ones start on their way to the disk.
  void write(ShardBatch& batch, std::int64_t begin) {
    {
      const TimedPart timed(work_.times.write);
      for (std::size_t c = 0; c < datasets_.size(); ++c) {
        datasets_[c].write(begin, batch.rows(), batch.column(c));
      }
    }
    if (batch_bytes(batch) >= kSyncedBytes) {
      const TimedPart timed(work_.times.sync);
      work_.files.start_sync(path_);
    }
  }

  /// Returns where the datasets begin.
  std::vector<std::int64_t> close() {
    std::vector<std::int64_t> offsets;
    for (Hdf5Dataset& dataset : datasets_) {
      offsets.push_back(dataset.offset());
      dataset.close();
    }
    return offsets;
  }

 private:
  RankFileWork& work_;
  std::string path_;
  std::vector<Hdf5Dataset> datasets_;
};

/// The manifest of the shards that a rank brings, without digests and offsets.
ManifestTable begin_manifest(const TableSource& table) {
  ManifestTable manifest;
  manifest.shape = table.shape;
  manifest.shards = std::ssize(table.rows);
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    if (table.rows[i] > 0) {
      manifest.filled.push_back(static_cast<std::int64_t>(i));
      manifest.rows.push_back(table.rows[i]);
    }
  }
  manifest.digests.resize(manifest.filled.size() * (table.shape.columns.size() + 1));
  return manifest;
}

/// The places [begin, end) of a range of shards among those that have rows.
Range filled_in(const ManifestTable& table, Range shards) {
  const auto place_of = [&](std::int64_t shard) {
    return std::lower_bound(table.filled.begin(), table.filled.end(), shard) - table.filled.begin();
  };
  return {place_of(shards.begin), place_of(shards.end)};
}

/// Reads all of `out`, which lies at `offset` of a file.
void read_whole(const RankFile& file, const std::string& dataset, std::int64_t offset,
                Span<std::byte> out) {
  const std::int64_t got = file.bytes->read(offset, out);
  require(got == out.size(), Kind::corrupt_data, "{}:{}: expected {} bytes at offset {}: found {}",
          file.path, dataset, out.size(), offset, got);
}

/// Checks a column of the shards of a batch against their digests.
void check_column(RankFileWork& work, const std::string& path, const ManifestTable& table,
                  ShardBatch& batch, std::size_t c) {
  const TimedPart timed(work.times.digest);
  const Range filled = filled_in(table, batch.shards());
  for (std::int64_t place = filled.begin; place < filled.end; ++place) {
    const std::int64_t shard = table.filled[static_cast<std::size_t>(place)];
    const Digest128 expected =
        table.digests[static_cast<std::size_t>(place) * batch.columns().size() + c];
    const Digest128 found = batch.digest(shard, c);
    require(found == expected, Kind::corrupt_data,
            "{}: table {}, shard {}, column {}: expected digest {}: found {}", path,
            table.shape.name, shard, batch.columns()[c].name, expected.hex(), found.hex());
  }
}

/// An index takes the keys of a shard without a look for one that is there.
void check_keys(const std::string& path, const ManifestTable& table, ShardBatch& batch) {
  for (std::int64_t shard = batch.shards().begin; shard < batch.shards().end; ++shard) {
    const Span<const Key> keys = batch.keys_of(shard);
    const auto at = std::adjacent_find(keys.begin(), keys.end(), std::greater_equal<>());
    require(at == keys.end(), Kind::corrupt_data,
            "{}: table {}, shard {}: expected ascending keys, each once: found {} and after it {}",
            path, table.shape.name, shard, at == keys.end() ? 0 : at[0],
            at == keys.end() ? 0 : at[1]);
  }
}

/// Reads the rows of a batch, the first of which is row `begin` of the file, and checks them: each
/// column while the cache has it.
void read_batch(RankFileWork& work, const RankFile& file, const ManifestTable& table,
                Span<const std::int64_t> offsets, std::int64_t begin, ShardBatch& batch) {
  for (std::size_t c = 0; c < batch.columns().size(); ++c) {
    const std::int64_t row_bytes = batch.row_bytes(c);
    {
      const TimedPart timed(work.times.read);
      read_whole(file, table_dataset(table.shape.name, batch.columns()[c].name),
                 offsets[c] + begin * row_bytes, {batch.column(c), batch.rows() * row_bytes});
    }
    check_column(work, file.path, table, batch, c);
  }
  check_keys(file.path, table, batch);
}

void take_shard(RankFileWork& work, ShardBatch& batch, std::int64_t shard, const ShardSink& take) {
  const TimedPart timed(work.times.copy);
  const std::vector<std::byte*> columns = batch.columns_of(shard);
  take(shard, batch.keys_of(shard), {columns.begin(), columns.end()});
}

}  // namespace

void write_shards(Hdf5File& file, const ManifestTable& table, std::int64_t first) {
  std::vector<std::int64_t> shards, begins{0};
  for (std::size_t i = 0; i < table.filled.size(); ++i) {
    shards.push_back(first + table.filled[i]);
    begins.push_back(begins.back() + table.rows[i]);
  }
  const std::string& name = table.shape.name;
  file.write(table_dataset(name, "shards"), ElementType::i64, {std::ssize(shards)}, shards.data());
  file.write(table_dataset(name, "shard_begin"), ElementType::i64, {std::ssize(begins)},
             begins.data());
}

void write_name(Hdf5File& file, const std::string& table) {
  file.set_text("/tables/" + hdf5_part(table), "name", table);
}

ManifestTable write_table(RankFileWork work, Hdf5File& file, const TableSource& table,
                          Range shards) {
  require(std::ssize(table.rows) == shards.size(), Kind::invalid_argument,
          "table {}: expected the rows of {} shards: found {}", table.shape.name, shards.size(),
          table.rows.size());
  ManifestTable manifest = begin_manifest(table);
  write_shards(file, manifest, shards.begin);
  write_name(file, table.shape.name);
  TableColumns columns(work, file, table.shape, manifest.rows_in({0, manifest.shards}));
  const std::size_t width = table.shape.columns.size() + 1;
  const std::vector<Range> parts =
      batches_of(table.shape, {0, shards.size()}, table.rows, kWrittenBytes);
  // One batch is written while the next one is copied.
  std::array<ShardBatch, 2> batches;
  std::int64_t written = 0;
  for (std::size_t i = 0; i <= parts.size(); ++i) {
    const Range part = i < parts.size() ? parts[i] : Range{};
    const Range filled = filled_in(manifest, part);
    ShardBatch& batch = batches[i % 2];
    ShardBatch& before = batches[(i + 1) % 2];
    batch.reset(work.stream, table.shape, {shards.begin + part.begin, shards.begin + part.end},
                Span<const std::int64_t>(table.rows).subspan(part.begin, part.size()));
    work.stream.threads().for_tasks(1 + filled.size(), [&](std::int64_t task, int) {
      if (task > 0) {
        const auto place = static_cast<std::size_t>(filled.begin + task - 1);
        copy_shard(work, table, batch, shards.begin + manifest.filled[place],
                   manifest.digests.data() + place * width);
      } else if (i > 0) {
        columns.write(before, written);
      }
      work.progress.advance();
    });
    written += i > 0 ? before.rows() : 0;
  }
  manifest.offsets = columns.close();
  return manifest;
}

RankFile open_rank_file(FileSystem& files, const std::string& path) {
  return {path, files.open(path)};
}

std::vector<std::int64_t> find_offsets(const std::string& path, const ManifestTable& table,
                                       Range held) {
  const Hdf5File file = Hdf5File::open(path);
  const std::int64_t rows = table.rows_in(held);
  std::vector<std::int64_t> offsets;
  for (const ColumnShape& column : file_columns(table.shape)) {
    const Hdf5Dataset dataset = file.open_dataset(table_dataset(table.shape.name, column.name));
    dataset.expect(column.type, file_shape(column, rows));
    offsets.push_back(dataset.offset());
  }
  return offsets;
}

std::int64_t find_offset(const std::string& path, const ManifestDense& dense) {
  const Hdf5File file = Hdf5File::open(path);
  const Hdf5Dataset dataset = file.open_dataset(dense_dataset(dense.name));
  dataset.expect(dense.type, dense.shape);
  return dataset.offset();
}

void read_table(RankFileWork work, const RankFile& file, const ManifestTable& table,
                ShardsInFile shards, const ShardSink& take) {
  const Range wanted = shards.wanted;
  const std::vector<std::int64_t> rows = table.rows_of(wanted);
  const std::vector<Range> parts = batches_of(table.shape, wanted, rows, kCachedBytes);
  std::vector<std::int64_t> begins{table.rows_in({shards.held.begin, wanted.begin})};
  for (const std::int64_t count : rows) {
    begins.push_back(begins.back() + count);
  }
  const auto largest = std::max_element(parts.begin(), parts.end(), [&](Range a, Range b) {
    return table.rows_in(a) < table.rows_in(b);
  });
  std::vector<ShardBatch> batches(static_cast<std::size_t>(work.stream.threads().size()));
  for (ShardBatch& batch : batches) {
    if (largest != parts.end()) {
      batch.reset(work.stream, table.shape, *largest, table.rows_of(*largest));
    }
  }
  work.stream.threads().for_tasks(std::ssize(parts), [&](std::int64_t task, int thread) {
    const Range part = parts[static_cast<std::size_t>(task)];
    const std::int64_t first = part.begin - wanted.begin;
    ShardBatch& batch = batches[static_cast<std::size_t>(thread)];
    batch.reset(work.stream, table.shape, part,
                Span<const std::int64_t>(rows).subspan(first, part.size()));
    if (batch.rows() > 0) {
      read_batch(work, file, table, shards.offsets, begins[static_cast<std::size_t>(first)], batch);
    }
    for (std::int64_t shard = part.begin; shard < part.end; ++shard) {
      if (batch.rows_of(shard) > 0) {
        take_shard(work, batch, shard, take);
      }
    }
    work.progress.advance();
  });
}

std::vector<std::byte> read_dense(const RankFile& file, const ManifestDense& dense,
                                  std::int64_t offset) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(dense.bytes()));
  read_whole(file, dense_dataset(dense.name), offset, bytes);
  const Digest128 found = digest_of(bytes.data(), bytes.size());
  require(found == dense.digest, Kind::corrupt_data,
          "{}: dense part {}: expected digest {}: found {}", file.path, dense.name,
          dense.digest.hex(), found.hex());
  return bytes;
}

}  // namespace keyshard
