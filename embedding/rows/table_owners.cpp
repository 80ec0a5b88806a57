#include "embedding/rows/table_owners.hpp"

#include <algorithm>

namespace keyshard {

TableOwners::TableOwners(std::int64_t ranks, std::int64_t tables)
    : dealings_{ShardOwners(ranks, kShards)}, dealing_of_(static_cast<std::size_t>(tables)) {}

TableOwners::TableOwners(const std::vector<ShardOwners>& of_tables) {
  for (const ShardOwners& owners : of_tables) {
    const auto found = std::find(dealings_.begin(), dealings_.end(), owners);
    dealing_of_.push_back(static_cast<std::uint16_t>(found - dealings_.begin()));
    if (found == dealings_.end()) {
      dealings_.push_back(owners);
    }
  }
  if (dealings_.size() == 1 && dealings_.front().in_order()) {
    return;
  }
  for (const ShardOwners& owners : dealings_) {
    for (std::int64_t shard = 0; shard < kShards; ++shard) {
      rank_of_shard_.push_back(static_cast<std::int32_t>(owners.owner(shard)));
    }
  }
}

}  // namespace keyshard
