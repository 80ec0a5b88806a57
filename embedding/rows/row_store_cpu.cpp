#include <algorithm>
#include <cstddef>
#include <cstring>

#include "embedding/rows/row_store_impl.hpp"
#include "runtime/columns.hpp"
#include "runtime/prefetch.hpp"

namespace keyshard {

template class RowStore<Cpu>;

template <>
void copy_rows_out<Cpu>(const RowStoreRef& store, Span<const RowId> rows, RowPart part, void* out) {
  constexpr std::int64_t kAhead = 16;  // rows that are fetched ahead
  const auto part_of = [&](std::int64_t i) {
    return reinterpret_cast<const std::byte*>(store.row(rows[i])) + part.offset;
  };
  auto* to = static_cast<std::byte*>(out);
  for (std::int64_t i = 0; i < rows.size(); ++i, to += part.size) {
    if (i + kAhead < rows.size()) {
      prefetch(part_of(i + kAhead), part.size);
    }
    std::memcpy(to, part_of(i), static_cast<std::size_t>(part.size));
  }
}

namespace {

/// Sets `size` bytes of each of `count` rows, which lie `stride` bytes apart.
void put_part(std::byte* row, std::int64_t stride, std::int64_t count, const std::byte* from,
              std::int64_t size) {
  with_width(size, [&](auto bytes) {
    for (std::int64_t i = 0; i < count; ++i, row += stride, from += bytes) {
      std::memcpy(row, from, static_cast<std::size_t>(bytes));
    }
  });
}

}  // namespace

template <>
void copy_rows_in<Cpu>(const RowStoreRef& store, RowRange rows, Span<const PartSource> sources) {
  constexpr std::int64_t kMost = 64;  // rows that get all their parts while the cache has them
  const std::int64_t stride = store.stride * static_cast<std::int64_t>(sizeof(float));
  for (std::int64_t begin = 0; begin < rows.count;) {
    const RowId first = rows.first + static_cast<RowId>(begin);
    const std::int64_t count = std::min({rows.count - begin, store.run_from(first), kMost});
    auto* row = reinterpret_cast<std::byte*>(store.row(first));
    for (const PartSource& source : sources) {
      const RowPart part = source.part;
      put_part(row + part.offset, stride, count,
               static_cast<const std::byte*>(source.from) + begin * part.size, part.size);
    }
    begin += count;
  }
}

}  // namespace keyshard
