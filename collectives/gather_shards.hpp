// Brings together what the owners of shards know of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "collectives/communicator.hpp"
#include "runtime/shard_owners.hpp"

namespace keyshard {

/// Returns the values of all shards, in the order of shards, on every rank. `mine` has `width`
/// values for each shard of this rank, in their order. Collective.
template <class T, Backend B>
std::vector<T> gather_shards(Communicator<B>& communicator, const ShardOwners& owners,
                             const std::vector<T>& mine, std::int64_t width = 1) {
  const std::vector<std::vector<T>> of_ranks = communicator.gather_lists(Span<const T>(mine));
  std::vector<T> all(static_cast<std::size_t>(owners.shards() * width));
  for (std::int64_t run = 0; run < owners.runs(); ++run) {
    const std::vector<T>& list = of_ranks[static_cast<std::size_t>(owners.rank_of_run(run))];
    std::copy(list.begin(), list.end(), all.begin() + owners.shards_of_run(run).begin * width);
  }
  return all;
}

}  // namespace keyshard
