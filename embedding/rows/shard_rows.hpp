// The keys of one shard of an index in their order, as checkpoints and digests have them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "embedding/rows/key_index.hpp"
#include "runtime/sort_pairs.hpp"

namespace keyshard {

/// Sorts keys on the host and leaves each once.
inline void make_distinct(std::vector<Key>& keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
}

/// The content of one shard, sorted by key, on the host.
struct ShardRows {
  std::vector<Key> keys;
  std::vector<RowId> rows;
};

/// The same with a copy of the rows, where some of them lie in a store.
struct ShardContent : ShardRows {
  std::vector<float> records;    ///< [keys x record_size] of a table with a store; `rows` is empty
  std::int64_t record_size = 0;  ///< values, states and status
};

template <Backend B>
ShardRows sorted_rows(const KeyIndex<B>& index, std::int64_t shard) {
  struct KeyRow {
    Key key;
    RowId row;
  };

  const auto n = static_cast<std::size_t>(index.size(shard));
  ShardRows content{std::vector<Key>(n), std::vector<RowId>(n)};
  index.entries(shard, content.keys.data(), content.rows.data());
  std::vector<KeyRow> sorted;
  sorted.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    sorted.push_back({content.keys[i], content.rows[i]});
  }
  sort_pairs(Span<KeyRow>(sorted));
  for (std::size_t i = 0; i < n; ++i) {
    content.keys[i] = sorted[i].key;
    content.rows[i] = sorted[i].row;
  }
  return content;
}

}  // namespace keyshard
