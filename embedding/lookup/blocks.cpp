#include "embedding/lookup/blocks.hpp"

namespace keyshard {

BlockLayout::BlockLayout(const std::vector<std::int64_t>& sizes, std::int64_t ranks)
    : bases(sizes.size() + 1), counts(static_cast<std::size_t>(ranks)) {
  const std::size_t tables = sizes.size() / static_cast<std::size_t>(ranks);
  for (std::size_t block = 0; block < sizes.size(); ++block) {
    bases[block + 1] = bases[block] + sizes[block];
    counts[block / tables] += sizes[block];
  }
}

std::vector<std::int64_t> sizes_of(const std::vector<std::int64_t>& bases) {
  std::vector<std::int64_t> sizes(bases.size() - 1);
  for (std::size_t block = 0; block < sizes.size(); ++block) {
    sizes[block] = bases[block + 1] - bases[block];
  }
  return sizes;
}

}  // namespace keyshard
