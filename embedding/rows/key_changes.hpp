// What has happened to the keys of a table with a store since a mark: rows do not stay in memory
// there, so their keys are noted instead. On the host, a key once, whatever happened to it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "embedding/stores/store.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// What has happened to the keys of one shard since a mark, ascending, on the host.
struct ShardChanges {
  std::vector<Key> changed;  ///< have a row that is new or was written
  std::vector<Key>
      removed;  ///< have lost their row and have none; some may be younger than the mark
};

class KeyChanges {
 public:
  explicit KeyChanges(Range shards)
      : shards_(shards), has_row_(static_cast<std::size_t>(shards.size())) {}

  /// Notes that keys have got a row, or another one. Tasks may note keys of different shards at
  /// once.
  void note_changed(const std::vector<StoreKey>& keys) {
    for (const StoreKey& key : keys) {
      of(key.shard)[key.key] = true;
    }
  }

  void note_removed(std::int64_t shard, Key key) { of(shard)[key] = false; }

  ShardChanges changes(std::int64_t shard) const {
    ShardChanges all;
    for (const auto& [key, has_row] : has_row_[static_cast<std::size_t>(shard - shards_.begin)]) {
      (has_row ? all.changed : all.removed).push_back(key);
    }
    std::sort(all.changed.begin(), all.changed.end());
    std::sort(all.removed.begin(), all.removed.end());
    return all;
  }

 private:
  using Keys = std::unordered_map<Key, bool, KeyHash>;

  Keys& of(std::int64_t shard) { return has_row_[static_cast<std::size_t>(shard - shards_.begin)]; }

  Range shards_;
  std::vector<Keys> has_row_;  // of each shard
};

}  // namespace keyshard
