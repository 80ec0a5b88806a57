// Host plans of messages: a message lies in blocks, rank after rank, and for each rank table after
// table.
#pragma once

#include <cstdint>
#include <vector>

namespace keyshard {

/// Where the blocks of a message start, and the size of each rank's part of the message.
struct BlockLayout {
  std::vector<std::int64_t> bases;   ///< [ranks * tables + 1]
  std::vector<std::int64_t> counts;  ///< [ranks]

  BlockLayout() = default;
  BlockLayout(const std::vector<std::int64_t>& sizes, std::int64_t ranks);

  std::int64_t size() const { return bases.empty() ? 0 : bases.back(); }
};

/// Items of each block, from where the blocks start.
std::vector<std::int64_t> sizes_of(const std::vector<std::int64_t>& bases);

}  // namespace keyshard
