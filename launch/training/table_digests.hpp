// Digests of the rows of tables, and from them the digest of a state
// (io/state_digest.hpp).
#pragma once

#include <vector>

#include "embedding/rows/table_set.hpp"
#include "io/state_digest.hpp"

namespace keyshard {

/// The digests of all tables, shard by shard, gathered over ranks. Collective.
template <Backend B>
std::vector<TableDigests> table_digests(const TableSet<B>& tables, Stream<B>& stream);

/// The digest of a state of these tables and dense parts: equal to that of a checkpoint of both.
/// The same on every rank. Collective.
template <Backend B>
Digest128 state_digest(const TableSet<B>& tables, Stream<B>& stream, std::int64_t step,
                       const NamedDigests& dense = {});

}  // namespace keyshard
