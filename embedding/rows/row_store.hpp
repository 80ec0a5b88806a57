// Row id -> floats: the values and optimizer state of a row side by side, so that an update touches
// one place. Values may be 16-bit floats, two in the place of a float. Rows lie in slabs of
// doubling size (on huge pages, where a CPU has them); growth moves no row.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <mutex>

#include "runtime/backend.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

inline constexpr int kMaxSlabs = 33;

/// Borrowed access for functors. Slab k holds first_rows * 2^k rows, the rows of slab 0 first.
struct RowStoreRef {
  float* slabs[kMaxSlabs];
  std::int64_t stride;       ///< floats from one row to the next
  std::uint32_t first_rows;  ///< a power of two
  int first_bits;            ///< log2 of first_rows

  KEYSHARD_HD float* row(RowId id) const {
    const std::uint64_t shifted = std::uint64_t{id} + first_rows;
    const int slab = 63 - std::countl_zero(shifted) - first_bits;
    return slabs[slab] +
           static_cast<std::int64_t>(shifted - (std::uint64_t{first_rows} << slab)) * stride;
  }

  /// Rows from `id` on that lie one after another.
  KEYSHARD_HD std::int64_t run_from(RowId id) const {
    const std::uint64_t shifted = std::uint64_t{id} + first_rows;
    return static_cast<std::int64_t>(2 * std::bit_floor(shifted) - shifted);
  }
};

template <Backend B>
class RowStore {
 public:
  /// Rows of `stride` floats.
  explicit RowStore(std::int64_t stride);
  ~RowStore();
  RowStore(const RowStore&) = delete;
  RowStore& operator=(const RowStore&) = delete;

  /// There will be no more than `rows` rows: the last slab has room for no others. Before the first
  /// row.
  void limit(std::int64_t rows) noexcept { most_ = std::min(rows, most_); }

  /// Good for the rows handed out so far.
  const RowStoreRef& ref() const { return ref_; }

  /// The first of `rows` consecutive rows for new keys, uninitialised. Throws Error{out_of_memory}
  /// where the system has no memory, or for more than 2^32 - 1 rows in all, or than its limit.
  /// Thread-safe.
  RowId allocate(std::int64_t rows);

  /// Takes back all rows but the first `rows`, and gives the memory of empty slabs back.
  void truncate(std::int64_t rows);

  /// Rows handed out.
  std::int64_t size() const noexcept { return size_; }

  std::size_t bytes() const noexcept { return bytes_; }

 private:
  std::int64_t slab_rows(int slab) const;
  std::size_t slab_bytes(int slab) const;

  RowStoreRef ref_{};
  std::mutex mutex_;  // of allocate
  int slabs_ = 0;
  std::int64_t most_ = kNoRow;
  std::int64_t size_ = 0;
  std::int64_t capacity_ = 0;
  std::size_t bytes_ = 0;
};

/// Some bytes of every row: [offset, offset + size).
struct RowPart {
  std::int64_t offset;
  std::int64_t size;
};

/// Consecutive rows.
struct RowRange {
  RowId first;
  std::int64_t count;
};

/// out [rows x size], on the host, gets a part of the rows. Waits; several threads may call it at
/// once.
template <Backend B>
void copy_rows_out(const RowStoreRef& store, Span<const RowId> rows, RowPart part, void* out);

/// What a part of each row is to be: from [rows x part.size], on the host.
struct PartSource {
  RowPart part;
  const void* from;
};

/// Sets parts of consecutive rows. Waits; several threads may call it at once, for different rows.
template <Backend B>
void copy_rows_in(const RowStoreRef& store, RowRange rows, Span<const PartSource> sources);

/// The same with one part.
template <Backend B>
void copy_rows_in(const RowStoreRef& store, RowRange rows, RowPart part, const void* from) {
  const PartSource source{part, from};
  copy_rows_in<B>(store, rows, Span<const PartSource>(&source, 1));
}

// The copies (row_store_cpu.cpp, row_store_cuda.cpp). Those of a CUDA device use the device of the
// calling thread, and wait first for all work that it has been given.
template <>
void copy_rows_out<Cpu>(const RowStoreRef& store, Span<const RowId> rows, RowPart part, void* out);
template <>
void copy_rows_in<Cpu>(const RowStoreRef& store, RowRange rows, Span<const PartSource> sources);
template <>
void copy_rows_out<Cuda>(const RowStoreRef& store, Span<const RowId> rows, RowPart part, void* out);
template <>
void copy_rows_in<Cuda>(const RowStoreRef& store, RowRange rows, Span<const PartSource> sources);

}  // namespace keyshard
