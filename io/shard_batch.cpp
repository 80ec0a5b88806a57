#include "io/shard_batch.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kAlignment = 64;

std::int64_t bytes_of_row(const ColumnShape& column) { return column.width * size_of(column.type); }

}  // namespace

std::vector<ColumnShape> file_columns(const TableShape& table) {
  std::vector<ColumnShape> columns{{"keys", ElementType::u64, 1}};
  columns.insert(columns.end(), table.columns.begin(), table.columns.end());
  return columns;
}

std::vector<std::int64_t> file_shape(const ColumnShape& column, std::int64_t rows) {
  return column.name == "keys" ? std::vector{rows} : std::vector{rows, column.width};
}

std::vector<Range> batches_of(const TableShape& table, Range shards, Span<const std::int64_t> rows,
                              std::int64_t most_bytes) {
  std::int64_t bytes = 0;
  for (const ColumnShape& column : file_columns(table)) {
    bytes += bytes_of_row(column);
  }
  std::vector<Range> batches;
  std::int64_t filled = 0;
  for (std::int64_t shard = shards.begin; shard < shards.end; ++shard) {
    const std::int64_t more = rows[shard - shards.begin] * bytes;
    if (batches.empty() || filled + more > most_bytes) {
      batches.push_back({shard, shard});
      filled = 0;
    }
    batches.back().end = shard + 1;
    filled += more;
  }
  return batches;
}

void ShardBatch::reset(Stream<Cpu>& stream, const TableShape& table, Range shards,
                       Span<const std::int64_t> rows) {
  shards_ = shards;
  columns_ = file_columns(table);
  offsets_.assign(1, 0);
  for (const std::int64_t count : rows) {
    offsets_.push_back(offsets_.back() + count);
  }
  begins_.clear();
  std::int64_t bytes = 0;
  for (const ColumnShape& column : columns_) {
    begins_.push_back(bytes);
    bytes += (offsets_.back() * bytes_of_row(column) + kAlignment - 1) / kAlignment * kAlignment;
  }
  if (bytes_.size() < bytes) {
    bytes_ = {};
    bytes_ = Buffer<std::byte, Cpu>(stream, bytes);
  }
}

std::int64_t ShardBatch::rows_of(std::int64_t shard) const {
  const auto i = static_cast<std::size_t>(shard - shards_.begin);
  return offsets_[i + 1] - offsets_[i];
}

std::int64_t ShardBatch::row_bytes(std::size_t c) const { return bytes_of_row(columns_[c]); }

std::byte* ShardBatch::column(std::size_t c) noexcept { return bytes_.data() + begins_[c]; }

std::byte* ShardBatch::column(std::size_t c, std::int64_t shard) noexcept {
  return column(c) +
         offsets_[static_cast<std::size_t>(shard - shards_.begin)] * bytes_of_row(columns_[c]);
}

Span<Key> ShardBatch::keys_of(std::int64_t shard) noexcept {
  return {reinterpret_cast<Key*>(column(0, shard)), rows_of(shard)};
}

std::vector<std::byte*> ShardBatch::columns_of(std::int64_t shard) {
  std::vector<std::byte*> pointers;
  for (std::size_t c = 1; c < columns_.size(); ++c) {
    pointers.push_back(column(c, shard));
  }
  return pointers;
}

Digest128 ShardBatch::digest(std::int64_t shard, std::size_t c) {
  return digest_of(column(c, shard),
                   static_cast<std::size_t>(rows_of(shard) * bytes_of_row(columns_[c])));
}

}  // namespace keyshard
