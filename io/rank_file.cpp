#include "io/rank_file.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include "io/shard_batch.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// The rows of a batch among those of a run of shards that begins at `first`.
Span<const std::int64_t> rows_of(const std::vector<std::int64_t>& rows, std::int64_t first,
                                 Range batch) {
  return Span<const std::int64_t>(rows).subspan(batch.begin - first, batch.size());
}

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
  batch.digest(shard, digests);
}

/// The datasets of a table's columns, moved batch by batch.
class TableColumns {
 public:
  explicit TableColumns(RankFileWork& work) : work_(work) {}

  void create(Hdf5File& file, const TableShape& table, std::int64_t rows) {
    for (const ColumnShape& column : file_columns(table)) {
      datasets_.push_back(file.create_dataset(table_dataset(table.name, column.name), column.type,
                                              file_shape(column, rows)));
    }
  }

  void open(const Hdf5File& file, const TableShape& table, std::int64_t rows) {
    for (const ColumnShape& column : file_columns(table)) {
      datasets_.push_back(file.open_dataset(table_dataset(table.name, column.name)));
      datasets_.back().expect(column.type, file_shape(column, rows));
    }
  }

  void write(ShardBatch& batch, std::int64_t begin) {
    const TimedPart timed(work_.times.write);
    for (std::size_t c = 0; c < datasets_.size(); ++c) {
      datasets_[c].write(begin, batch.rows(), batch.column(c));
    }
  }

  void read(ShardBatch& batch, std::int64_t begin) {
    const TimedPart timed(work_.times.read);
    for (std::size_t c = 0; c < datasets_.size(); ++c) {
      datasets_[c].read(begin, batch.rows(), batch.column(c));
    }
  }

  void close() {
    for (Hdf5Dataset& dataset : datasets_) {
      dataset.close();
    }
  }

 private:
  RankFileWork& work_;
  std::vector<Hdf5Dataset> datasets_;
};

void check_shard(RankFileWork& work, const std::string& path, const ManifestTable& table,
                 ShardBatch& batch, std::int64_t shard) {
  const TimedPart timed(work.times.digest);
  std::vector<Digest128> found(batch.columns().size());
  batch.digest(shard, found.data());
  for (std::size_t c = 0; c < found.size(); ++c) {
    const Digest128 expected = table.digests_of(shard)[c];
    require(found[c] == expected, Kind::corrupt_data,
            "{}: table {}, shard {}, column {}: expected digest {}: found {}", path,
            table.shape.name, shard, batch.columns()[c].name, expected.hex(), found[c].hex());
  }
}

void take_shard(RankFileWork& work, ShardBatch& batch, std::int64_t shard, const ShardSink& take) {
  const TimedPart timed(work.times.copy);
  const std::vector<std::byte*> columns = batch.columns_of(shard);
  take(shard, batch.keys_of(shard), {columns.begin(), columns.end()});
}

/// Writes where the rows of each shard begin. Returns the number of all rows.
std::int64_t write_index(Hdf5File& file, const TableSource& table, Range shards) {
  std::vector<std::int64_t> begins{0};
  for (const std::int64_t rows : table.rows) {
    begins.push_back(begins.back() + rows);
  }
  file.write(table_dataset(table.shape.name, "shard_begin"), ElementType::i64,
             {static_cast<std::int64_t>(begins.size())}, begins.data());
  const std::string group = "/tables/" + hdf5_part(table.shape.name);
  file.set_text(group, "name", table.shape.name);
  file.set_integer(group, "first_shard", shards.begin);
  return begins.back();
}

}  // namespace

std::string table_dataset(const std::string& table, const std::string& column) {
  return "/tables/" + hdf5_part(table) + "/" + column;
}

std::vector<Digest128> write_table(RankFileWork work, Hdf5File& file, const TableSource& table,
                                   Range shards) {
  require(static_cast<std::int64_t>(table.rows.size()) == shards.size(), Kind::invalid_argument,
          "table {}: expected the rows of {} shards: found {}", table.shape.name, shards.size(),
          table.rows.size());
  TableColumns columns(work);
  columns.create(file, table.shape, write_index(file, table, shards));
  const std::size_t width = table.shape.columns.size() + 1;
  std::vector<Digest128> digests(static_cast<std::size_t>(shards.size()) * width);
  const std::vector<Range> parts = batches_of(table.shape, shards, table.rows);
  // One batch is written while the next one is copied.
  std::array<ShardBatch, 2> batches;
  std::int64_t written = 0;
  for (std::size_t i = 0; i <= parts.size(); ++i) {
    const Range part = i < parts.size() ? parts[i] : Range{};
    ShardBatch& batch = batches[i % 2];
    ShardBatch& before = batches[(i + 1) % 2];
    batch.reset(work.stream, table.shape, part,
                rows_of(table.rows, i < parts.size() ? shards.begin : 0, part));
    work.stream.threads().for_tasks(1 + part.size(), [&](std::int64_t task, int) {
      if (task > 0) {
        const std::int64_t shard = part.begin + task - 1;
        copy_shard(work, table, batch, shard,
                   digests.data() + static_cast<std::size_t>(shard - shards.begin) * width);
      } else if (i > 0) {
        columns.write(before, written);
        const TimedPart timed(work.times.sync);
        work.files.start_sync(file.path());
      }
      work.progress.advance();
    });
    written += i > 0 ? before.rows() : 0;
  }
  columns.close();
  return digests;
}

void read_table(RankFileWork work, const Hdf5File& file, const ManifestTable& table, Range held,
                Range wanted, const ShardSink& take) {
  TableColumns columns(work);
  columns.open(file, table.shape, table.rows_in(held));
  const std::vector<Range> parts = batches_of(table.shape, wanted, rows_of(table.rows, 0, wanted));
  // One batch is read while the batch before it is checked and passed to `take`.
  std::array<ShardBatch, 2> batches;
  std::int64_t next_row = table.rows_in({held.begin, wanted.begin});
  for (std::size_t i = 0; i <= parts.size(); ++i) {
    ShardBatch& reading = batches[i % 2];
    ShardBatch& before = batches[(i + 1) % 2];
    const Range part = i < parts.size() ? parts[i] : Range{};
    reading.reset(work.stream, table.shape, part, rows_of(table.rows, 0, part));
    const Range shards = i > 0 ? before.shards() : Range{};
    work.stream.threads().for_tasks(1 + shards.size(), [&](std::int64_t task, int) {
      if (task == 0) {
        columns.read(reading, next_row);
      } else {
        const std::int64_t shard = shards.begin + task - 1;
        check_shard(work, file.path(), table, before, shard);
        take_shard(work, before, shard, take);
      }
      work.progress.advance();
    });
    next_row += reading.rows();
  }
}

std::vector<std::byte> read_dense(const Hdf5File& file, const ManifestDense& dense) {
  const Hdf5Dataset dataset = file.open_dataset("/dense/" + dense.name);
  dataset.expect(dense.type, dense.shape);
  std::vector<std::byte> bytes(static_cast<std::size_t>(dense.bytes()));
  dataset.read(0, dataset.rows(), bytes.data());
  const Digest128 found = digest_of(bytes.data(), bytes.size());
  require(found == dense.digest, Kind::corrupt_data,
          "{}: dense part {}: expected digest {}: found {}", file.path(), dense.name,
          dense.digest.hex(), found.hex());
  return bytes;
}

}  // namespace keyshard
