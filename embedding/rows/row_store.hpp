// Row id -> floats: the values and optimizer state of a row side by side, so that an update touches
// one place. Rows lie in slabs of doubling size on huge pages; a row never moves.
#pragma once

#include <bit>
#include <cstdint>
#include <mutex>
#include <vector>

#include "runtime/portable.hpp"

namespace keyshard {

/// Borrowed access for functors. Slab k holds first_rows 2^k rows.
struct RowStoreRef {
  float* const* slabs;
  std::int64_t stride;       ///< floats from one row to the next
  std::uint32_t first_rows;  ///< a power of two
  int first_bits;            ///< its logarithm

  KEYSHARD_HD float* row(RowId id) const {
    const std::uint64_t shifted = std::uint64_t{id} + first_rows;
    const int slab = 63 - std::countl_zero(shifted) - first_bits;
    return slabs[slab] +
           static_cast<std::int64_t>(shifted - (std::uint64_t{first_rows} << slab)) * stride;
  }
};

class RowStore {
 public:
  /// Rows of `stride` floats.
  explicit RowStore(std::int64_t stride);
  ~RowStore();
  RowStore(const RowStore&) = delete;
  RowStore& operator=(const RowStore&) = delete;

  RowStoreRef ref() const {
    return {slabs_.data(), stride_, first_rows_, std::countr_zero(first_rows_)};
  }

  /// The first of `rows` consecutive rows for new keys, uninitialised. Throws Error{out_of_memory}
  /// when more than 2^32 - 1 rows would be in use. Thread-safe.
  RowId allocate(std::int64_t rows);

  /// Rows handed out.
  std::int64_t size() const noexcept { return size_; }

  std::size_t bytes() const noexcept { return bytes_; }

 private:
  std::int64_t stride_;
  std::uint32_t first_rows_;
  std::mutex mutex_;  // of allocate
  std::vector<float*> slabs_;
  std::int64_t size_ = 0;
  std::int64_t capacity_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace keyshard
