// The owners of the shards of several tables that are looked up together, which may differ. Equal
// ones are kept once, as a *dealing*. A host plan; `ref` brings to a device what functors read of
// it.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/rules/partitioners.hpp"
#include "runtime/copy.hpp"
#include "runtime/shard_owners.hpp"

namespace keyshard {

/// The owners of the shards of several tables, for functors.
struct TableOwnersRef {
  std::int64_t ranks;
  const std::uint16_t* dealings;      ///< of each table; null where `rank_of_shard` is
  const std::int32_t* rank_of_shard;  ///< [dealings x kShards]; null: all ranks in order own a run
                                      ///< of every table

  KEYSHARD_HD std::int64_t owner(std::int64_t table, std::int64_t shard) const {
    return rank_of_shard == nullptr ? owner_of(shard, ranks, kShards)
                                    : rank_of_shard[dealings[table] * kShards + shard];
  }
};

template <Backend B>
struct TableOwnersStorage {
  Buffer<std::uint16_t, B> dealings;
  Buffer<std::int32_t, B> ranks;
};

class TableOwners {
 public:
  /// All ranks own a run of each of `tables` tables, in their order.
  explicit TableOwners(std::int64_t ranks = 1, std::int64_t tables = 1);

  /// The owners of each table; one table at least, all over the same ranks.
  explicit TableOwners(const std::vector<ShardOwners>& of_tables);

  std::int64_t ranks() const { return dealings_.front().ranks(); }

  /// The different ones, in the order in which tables have them.
  const std::vector<ShardOwners>& dealings() const noexcept { return dealings_; }

  /// Which of them a table has.
  std::int64_t dealing(std::int64_t table) const {
    return dealing_of_[static_cast<std::size_t>(table)];
  }

  const ShardOwners& of_table(std::int64_t table) const {
    return dealings_[static_cast<std::size_t>(dealing(table))];
  }

  template <Backend B>
  TableOwnersRef ref(Stream<B>& stream, TableOwnersStorage<B>& storage) const {
    if (rank_of_shard_.empty()) {
      return {ranks(), nullptr, nullptr};
    }
    return {ranks(), device_view<std::uint16_t>(stream, dealing_of_, storage.dealings),
            device_view<std::int32_t>(stream, rank_of_shard_, storage.ranks)};
  }

 private:
  std::vector<ShardOwners> dealings_;
  std::vector<std::uint16_t> dealing_of_;
  std::vector<std::int32_t> rank_of_shard_;  // [dealings x kShards]; empty where all are in order
};

}  // namespace keyshard
