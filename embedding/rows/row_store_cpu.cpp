#include <cstddef>
#include <cstring>

#include "embedding/rows/row_store_impl.hpp"
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

template <>
void copy_rows_in<Cpu>(const RowStoreRef& store, RowRange rows, RowPart part, const void* from) {
  const auto* next = static_cast<const std::byte*>(from);
  for (std::int64_t i = 0; i < rows.count; ++i, next += part.size) {
    float* row = store.row(rows.first + static_cast<RowId>(i));
    std::memcpy(reinterpret_cast<std::byte*>(row) + part.offset, next,
                static_cast<std::size_t>(part.size));
  }
}

}  // namespace keyshard
