// Consecutive shards of one table in memory: the unit that moves between a table and a file.
// Each column is contiguous over all shards of the batch; column 0 holds the keys. Rows of a shard
// are sorted by key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "io/manifest.hpp"
#include "runtime/buffer.hpp"

namespace keyshard {

/// The columns of a table as files hold them: "keys", then those of the shape.
std::vector<ColumnShape> file_columns(const TableShape& table);

/// The shape of a file's column: [rows] for the keys, else [rows x width].
std::vector<std::int64_t> file_shape(const ColumnShape& column, std::int64_t rows);

/// A run of shards cut into consecutive runs of at most `most_bytes`, but of one shard at least.
/// `rows` are the rows of each shard.
std::vector<Range> batches_of(const TableShape& table, Range shards, Span<const std::int64_t> rows,
                              std::int64_t most_bytes);

class ShardBatch {
 public:
  /// Becomes these shards of a table, with uninitialised content. `rows` are the rows of each
  /// shard. Memory is reused.
  void reset(Stream<Cpu>& stream, const TableShape& table, Range shards,
             Span<const std::int64_t> rows);

  Range shards() const noexcept { return shards_; }

  const std::vector<ColumnShape>& columns() const noexcept { return columns_; }

  std::int64_t rows() const noexcept { return offsets_.back(); }

  std::int64_t rows_of(std::int64_t shard) const;

  /// Bytes of a row of a column.
  std::int64_t row_bytes(std::size_t c) const;

  /// A column of all shards [rows x width], and of one shard.
  std::byte* column(std::size_t c) noexcept;
  std::byte* column(std::size_t c, std::int64_t shard) noexcept;

  Span<Key> keys_of(std::int64_t shard) noexcept;
  /// The columns of a shard without its keys.
  std::vector<std::byte*> columns_of(std::int64_t shard);
  /// The digest of a column of a shard.
  Digest128 digest(std::int64_t shard, std::size_t c);

 private:
  Range shards_;
  std::vector<ColumnShape> columns_;
  std::vector<std::int64_t> offsets_;  // of rows, [shards + 1]
  std::vector<std::int64_t> begins_;   // of columns, in bytes
  Buffer<std::byte, Cpu> bytes_;
};

}  // namespace keyshard
