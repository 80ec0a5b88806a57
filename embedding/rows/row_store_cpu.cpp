#include <algorithm>

#include "embedding/rows/row_store_impl.hpp"
#include "runtime/prefetch.hpp"

namespace keyshard {

template class RowStore<Cpu>;

template <>
void copy_rows_out<Cpu>(const RowStoreRef& store, Span<const RowId> rows, RowPart part,
                        float* out) {
  constexpr std::int64_t kAhead = 16;  // rows that are fetched ahead
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    if (i + kAhead < rows.size()) {
      prefetch(store.row(rows[i + kAhead]) + part.offset, part.width);
    }
    out = std::copy_n(store.row(rows[i]) + part.offset, part.width, out);
  }
}

template <>
void copy_rows_in<Cpu>(const RowStoreRef& store, RowRange rows, RowPart part, const float* from) {
  for (std::int64_t i = 0; i < rows.count; ++i, from += part.width) {
    std::copy_n(from, part.width, store.row(rows.first + static_cast<RowId>(i)) + part.offset);
  }
}

}  // namespace keyshard
