// Which rank owns which of the shards of a table. The shards are dealt in contiguous runs: to all
// ranks in their order, or to the ranks of a list, in the order of the list. Every place that sends
// keys to their owners, or reads or writes the shards of a rank, asks this one. Results do not
// depend on it.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/runs.hpp"

namespace keyshard {

class ShardOwners {
 public:
  /// Deals `shards` shards to `ranks` ranks: run k goes to rank list[k], or, where the list is
  /// empty, to rank k. The list of all ranks in their order is the same as none. Throws
  /// Error{invalid_argument} where the list is not `valid`.
  ShardOwners(std::int64_t ranks, std::int64_t shards, std::vector<std::int64_t> list = {});

  /// Whether a list names ranks of [0, ranks), each at most once.
  static bool valid(std::int64_t ranks, const std::vector<std::int64_t>& list);

  std::int64_t ranks() const noexcept { return ranks_; }

  std::int64_t shards() const noexcept { return shards_; }

  /// Whether run k is that of rank k, for all ranks.
  bool in_order() const noexcept { return list_.empty(); }

  /// The ranks of the runs; empty where they are all ranks in their order.
  const std::vector<std::int64_t>& list() const noexcept { return list_; }

  /// How many runs there are; each has a rank of its own.
  std::int64_t runs() const noexcept { return in_order() ? ranks_ : std::ssize(list_); }

  std::int64_t rank_of_run(std::int64_t run) const {
    return in_order() ? run : list_[static_cast<std::size_t>(run)];
  }

  Range shards_of_run(std::int64_t run) const { return run_of(run, runs(), shards_); }

  /// The shards of a rank: no shards for a rank that the list does not name.
  Range shards_of(std::int64_t rank) const;

  /// The rank that owns a shard.
  std::int64_t owner(std::int64_t shard) const {
    return rank_of_run(owner_of(shard, runs(), shards_));
  }

  bool operator==(const ShardOwners&) const = default;

 private:
  std::int64_t ranks_;
  std::int64_t shards_;
  std::vector<std::int64_t> list_;
};

}  // namespace keyshard
