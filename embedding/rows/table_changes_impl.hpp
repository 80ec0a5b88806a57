// The bodies of mark_changes, note_removed and changes of a table: what changed since a mark.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "embedding/rows/shard_rows.hpp"
#include "embedding/rows/stored_rows.hpp"
#include "embedding/rows/table.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

/// Sets the number of row i to 0.
struct ClearChanged {
  RowStoreRef changed;

  KEYSHARD_HD void operator()(std::int64_t i) const { *changed.row(static_cast<RowId>(i)) = 0.0f; }
};

template <Backend B>
void Table<B>::mark_changes(Stream<B>& stream) {
  if (stored_ != nullptr) {
    stored_->changes.emplace(shards());
    return;
  }
  if (changed_ == nullptr) {
    changed_ = std::make_unique<RowStore<B>>(1);
    changed_->allocate(store_.size());
  }
  for_each(stream, store_.size(), ClearChanged{changed_->ref()});
  removed_keys_.assign(static_cast<std::size_t>(shards().size()), {});
}

template <Backend B>
void Table<B>::note_removed(std::int64_t shard, Key key) {
  if (stored_ != nullptr) {
    stored_->changes->note_removed(shard, key);
    return;
  }
  removed_keys_[static_cast<std::size_t>(shard - shards().begin)].push_back(key);
}

template <Backend B>
ShardChanges Table<B>::changes(std::int64_t shard) const {
  require(follows_changes(), Kind::invalid_argument,
          "table {}: expected mark_changes before the changes since the mark are asked for",
          options_.name);
  if (stored_ != nullptr) {
    return stored_changes(shard);
  }
  const ShardRows rows = shard_rows(shard);
  std::vector<float> changed(rows.keys.size());
  copy_rows_out<B>(changed_->ref(), rows.rows, {0, sizeof(float)}, changed.data());
  ShardChanges changes;
  for (std::size_t i = 0; i < changed.size(); ++i) {
    if (changed[i] != 0.0f) {
      changes.changed.push_back(rows.keys[i]);
    }
  }
  changes.removed = removed_keys_[static_cast<std::size_t>(shard - shards().begin)];
  std::erase_if(changes.removed, [&](Key key) {
    return std::binary_search(rows.keys.begin(), rows.keys.end(), key);
  });
  make_distinct(changes.removed);
  return changes;
}

}  // namespace keyshard
