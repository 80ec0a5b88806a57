// Digests of the rows of tables, and by them the name of a state of training (io/state_digest.hpp)
// that stands in memory.
#pragma once

#include <vector>

#include "embedding/rows/table_set.hpp"
#include "io/state_digest.hpp"

namespace keyshard {

/// The digests of all tables, shard by shard, gathered over ranks. Collective.
template <Backend B>
std::vector<TableDigests> table_digests(const TableSet<B>& tables, Stream<B>& stream);

/// The digest of a state that consists of tables alone: that of a checkpoint of them. The same on
/// every rank. Collective.
template <Backend B>
Digest128 state_digest(const TableSet<B>& tables, Stream<B>& stream, std::int64_t step);

}  // namespace keyshard
