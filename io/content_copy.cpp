#include "io/content_copy.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "io/shard_batch.hpp"
#include "runtime/error.hpp"
#include "runtime/shard_owners.hpp"

namespace keyshard {
namespace {

/// What the parts of a copy lie in.
struct CopyMemory {
  std::vector<std::unique_ptr<ShardBatch>> tables;
  std::vector<std::vector<std::byte>> dense;
};

std::int64_t bytes_of(const DenseSource& dense) {
  return std::accumulate(dense.shape.begin(), dense.shape.end(), size_of(dense.type),
                         std::multiplies<>());
}

std::int64_t bytes_of(const TableSource& table) {
  const std::int64_t rows = std::accumulate(table.rows.begin(), table.rows.end(), std::int64_t{0});
  std::int64_t bytes = 0;
  for (const ColumnShape& column : file_columns(table.shape)) {
    bytes += rows * column.width * size_of(column.type);
  }
  return bytes;
}

/// Copies the shards of a table that have rows.
std::unique_ptr<ShardBatch> copy_rows(const TableSource& table, Range shards, Stream<Cpu>& stream) {
  require(std::ssize(table.rows) == shards.size(), Kind::invalid_argument,
          "table {}: expected the rows of {} shards: found {}", table.shape.name, shards.size(),
          table.rows.size());
  auto batch = std::make_unique<ShardBatch>();
  batch->reset(stream, table.shape, shards, Span<const std::int64_t>(table.rows));
  std::vector<std::int64_t> filled;
  for (std::int64_t shard = shards.begin; shard < shards.end; ++shard) {
    if (batch->rows_of(shard) > 0) {
      filled.push_back(shard);
    }
  }
  stream.threads().for_tasks(std::ssize(filled), [&](std::int64_t task, int) {
    const std::int64_t shard = filled[static_cast<std::size_t>(task)];
    table.copy(shard, batch->keys_of(shard), batch->columns_of(shard));
  });
  return batch;
}

/// Hands out what was copied.
void give_shard(ShardBatch& batch, std::int64_t shard, Span<Key> keys,
                const std::vector<std::byte*>& columns) {
  const Span<Key> found = batch.keys_of(shard);
  std::copy(found.begin(), found.end(), keys.begin());
  for (std::size_t c = 0; c < columns.size(); ++c) {
    std::copy_n(batch.column(c + 1, shard), batch.rows_of(shard) * batch.row_bytes(c + 1),
                columns[c]);
  }
}

}  // namespace

std::int64_t bytes_of(const CheckpointContent& content) {
  std::int64_t bytes = 0;
  for (const TableSource& table : content.tables) {
    bytes += bytes_of(table);
  }
  for (const DenseSource& dense : content.dense) {
    bytes += bytes_of(dense);
  }
  return bytes;
}

CheckpointContent copy_of(const CheckpointContent& content, int rank, int ranks,
                          Stream<Cpu>& stream) {
  CheckpointContent copy = content;
  const auto memory = std::make_shared<CopyMemory>();
  for (TableSource& table : copy.tables) {
    const ShardOwners owners(ranks, content.shards, table.owners);
    memory->tables.push_back(copy_rows(table, owners.shards_of(rank), stream));
    table.copy = [&batch = *memory->tables.back()](std::int64_t shard, Span<Key> keys,
                                                   const std::vector<std::byte*>& columns) {
      give_shard(batch, shard, keys, columns);
    };
  }
  for (DenseSource& dense : copy.dense) {
    const auto* values = static_cast<const std::byte*>(dense.values);
    memory->dense.emplace_back(values, values + bytes_of(dense));
    dense.values = memory->dense.back().data();
  }
  copy.memory = memory;
  return copy;
}

}  // namespace keyshard
