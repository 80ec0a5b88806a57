// Numbers in an order that no cache can guess and every run repeats, for the calls of measures.
#pragma once

#include <cstdint>
#include <vector>

namespace keyshard {

/// The numbers of [0, size) in a scrambled order that is always the same, at most 2^32 of them.
class ScrambledOrder {
 public:
  explicit ScrambledOrder(std::int64_t size);

  /// The next `n` numbers of the order, distinct; from its beginning where fewer are left. Expects
  /// n of at most `size`.
  std::vector<std::uint32_t> next(std::int64_t n);

 private:
  std::uint64_t scrambled(std::uint64_t x) const;

  std::uint64_t size_;
  std::uint64_t mask_;    // of the least power of two that is not below size
  int shift_;             // half of its bits
  std::uint64_t at_ = 0;  // in [0, mask_]
  std::int64_t given_ = 0;
};

}  // namespace keyshard
