// The bodies of digests of tables.
#pragma once

#include <functional>

#include "collectives/gather_shards.hpp"
#include "collectives/vote.hpp"
#include "launch/training/table_checkpoint_impl.hpp"
#include "launch/training/table_digests.hpp"
#include "runtime/shard_owners.hpp"

namespace keyshard {
template <Backend B>
TableDigests digests_of(const TableSource& source, Communicator<B>& communicator,
                        ThreadPool& threads) {
  const ShardOwners owners(communicator.size(), kShards, source.owners);
  const Range shards = owners.shards_of(communicator.rank());
  TableDigests result{source.shape.name, {"keys"}, {}};
  for (const ColumnShape& column : source.shape.columns) {
    result.columns.push_back(column.name);
  }
  const std::size_t width = result.columns.size();
  std::vector<Digest128> mine(static_cast<std::size_t>(shards.size()) * width, digest_of("", 0));
  const auto digest = [&](std::int64_t i, int) {
    const std::int64_t rows = source.rows[static_cast<std::size_t>(i)];
    if (rows == 0) {
      return;
    }
    std::vector<Key> keys(static_cast<std::size_t>(rows));
    std::vector<std::vector<std::byte>> columns;
    std::vector<std::byte*> places;
    for (const ColumnShape& column : source.shape.columns) {
      columns.emplace_back(static_cast<std::size_t>(rows * column.width * size_of(column.type)));
      places.push_back(columns.back().data());
    }
    source.copy(shards.begin + i, Span<Key>(keys), places);
    Digest128* out = mine.data() + static_cast<std::size_t>(i) * width;
    *out++ = digest_of(keys.data(), keys.size() * sizeof(Key));
    for (const std::vector<std::byte>& column : columns) {
      *out++ = digest_of(column.data(), column.size());
    }
  };
  // The store of a table may fail on one rank.
  vote(host_of(communicator), [&] { threads.for_tasks(shards.size(), digest); });
  result.digests = gather_shards(communicator, owners, mine, std::ssize(result.columns));
  return result;
}

/// Passes the digests of each table to `take`, one table after another: those of thousands of
/// tables take hundreds of megabytes together.
template <Backend B>
void for_table_digests(const TableSet<B>& tables, Stream<B>& stream,
                       const std::function<void(TableDigests)>& take) {
  for (const TableSource& source : table_sources(tables)) {
    take(digests_of(source, tables.communicator(), host_of(stream).threads()));
  }
}

template <Backend B>
std::vector<TableDigests> table_digests(const TableSet<B>& tables, Stream<B>& stream) {
  std::vector<TableDigests> digests;
  for_table_digests<B>(tables, stream,
                       [&](TableDigests table) { digests.push_back(std::move(table)); });
  return digests;
}

template <Backend B>
Digest128 state_digest(const TableSet<B>& tables, Stream<B>& stream, std::int64_t step,
                       const NamedDigests& dense) {
  StateDigest state;
  for_table_digests<B>(tables, stream, [&](const TableDigests& table) { state.add(table); });
  state.add(dense);
  return state.result(step);
}

}  // namespace keyshard
