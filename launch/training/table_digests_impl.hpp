// The bodies of digests of tables.
#pragma once

#include "launch/training/table_digests.hpp"

namespace keyshard {
template <Backend B>
TableDigests digests_of(const Table<B>& table, Communicator<B>& communicator, ThreadPool& threads) {
  const std::vector<RowColumn> columns = table.columns();
  TableDigests result{table.options().name, {"keys"}, {}};
  for (const RowColumn& column : columns) {
    result.columns.push_back(column.name);
  }
  const Range shards = table.shards();
  std::vector<Digest128> mine(static_cast<std::size_t>(shards.size()) * result.columns.size());
  threads.for_tasks(shards.size(), [&](std::int64_t i, int) {
    const ShardRows rows = table.shard_rows(shards.begin + i);
    Digest128* out = mine.data() + static_cast<std::size_t>(i) * result.columns.size();
    *out++ = digest_of(rows.keys.data(), rows.keys.size() * sizeof(Key));
    for (const RowColumn& column : columns) {
      std::vector<float> values(rows.rows.size() * static_cast<std::size_t>(column.width));
      table.copy_column(rows.rows, column, values.data());
      *out++ = digest_of(values.data(), values.size() * sizeof(float));
    }
  });
  result.digests = communicator.gather_joined(Span<const Digest128>(mine));
  return result;
}

template <Backend B>
std::vector<TableDigests> table_digests(const TableSet<B>& tables, Stream<B>& stream) {
  std::vector<TableDigests> digests;
  for (const auto& table : tables.tables()) {
    digests.push_back(digests_of(*table, tables.communicator(), host_of(stream).threads()));
  }
  return digests;
}

template <Backend B>
Digest128 state_digest(const TableSet<B>& tables, Stream<B>& stream, std::int64_t step) {
  return state_digest(table_digests(tables, stream), {}, step);
}

}  // namespace keyshard
