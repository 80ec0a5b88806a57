#include "collectives/communicator.hpp"

#include <algorithm>

namespace keyshard {

template <Backend B>
std::vector<std::byte> Communicator<B>::gather_bytes(Span<const std::byte> mine,
                                                     std::vector<std::int64_t>& sizes) {
  sizes = gather_values(static_cast<std::int64_t>(mine.size()));
  std::int64_t largest = 0;
  for (const std::int64_t bytes : sizes) {
    largest = bytes > largest ? bytes : largest;
  }
  // Equal parts, cut to their sizes afterwards: these are small messages.
  std::vector<std::byte> padded(static_cast<std::size_t>(largest));
  std::copy(mine.begin(), mine.end(), padded.begin());
  std::vector<std::byte> all(padded.size() * sizes.size());
  all_gather(padded, all);
  std::vector<std::byte> result;
  for (std::size_t rank = 0; rank < sizes.size(); ++rank) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(rank * padded.size());
    result.insert(result.end(), begin, begin + sizes[rank]);
  }
  return result;
}

template std::vector<std::byte> Communicator<Cpu>::gather_bytes(Span<const std::byte>,
                                                                std::vector<std::int64_t>&);

}  // namespace keyshard
