// Parts of rows of a CUDA device come and go through a buffer in which they lie one after another:
// one launch and one copy.
#include <cstddef>

#include "embedding/rows/row_store_impl.hpp"
#include "runtime/copy.hpp"
#include "runtime/for_each_cuda.hpp"

namespace keyshard {

template class RowStore<Cuda>;

namespace {

/// Copies a part of each row between the rows and `packed`, word by word. A row is made of floats,
/// or of floats of 16 bits.
template <class Word, bool kOut>
struct CopyParts {
  RowStoreRef store;
  const RowId* rows;  ///< null: consecutive ones
  RowId first;        ///< of consecutive rows
  std::int64_t offset;
  std::int64_t words;
  Word* packed;  ///< [rows x words]

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const RowId row = rows == nullptr ? first + static_cast<RowId>(i) : rows[i];
    Word* part = reinterpret_cast<Word*>(store.row(row)) + offset;
    for (std::int64_t w = team.thread_rank(); w < words; w += team.num_threads()) {
      if constexpr (kOut) {
        packed[i * words + w] = part[w];
      } else {
        part[w] = packed[i * words + w];
      }
    }
  }
};

/// body(Word{}) with the type of which whole numbers fill the part.
template <class Body>
void with_word(RowPart part, const Body& body) {
  constexpr std::int64_t kFloat = sizeof(float);
  if (part.offset % kFloat == 0 && part.size % kFloat == 0) {
    body(float{});
  } else if (part.offset % 2 == 0 && part.size % 2 == 0) {
    body(std::uint16_t{});
  } else {
    body(std::uint8_t{});
  }
}

}  // namespace

template <>
void copy_rows_out<Cuda>(const RowStoreRef& store, Span<const RowId> rows, RowPart part,
                         void* out) {
  if (rows.size() * part.size == 0) {
    return;
  }
  Stream<Cuda> stream = stream_of_call();
  const Buffer<RowId, Cuda> on_device = to_device(stream, rows);
  with_word(part, [&](auto word) {
    using Word = decltype(word);
    constexpr std::int64_t kBytes = sizeof(Word);
    Buffer<Word, Cuda> packed(stream, rows.size() * part.size / kBytes);
    for_each_row(stream, rows.size(),
                 CopyParts<Word, true>{.store = store,
                                       .rows = on_device.data(),
                                       .first = 0,
                                       .offset = part.offset / kBytes,
                                       .words = part.size / kBytes,
                                       .packed = packed.data()});
    copy_to_host(stream, packed.data(), packed.size(), static_cast<Word*>(out));
  });
}

template <>
void copy_rows_in<Cuda>(const RowStoreRef& store, RowRange rows, Span<const PartSource> sources) {
  if (rows.count == 0) {
    return;
  }
  Stream<Cuda> stream = stream_of_call();
  for (const PartSource& source : sources) {
    const RowPart part = source.part;
    if (part.size == 0) {
      continue;
    }
    with_word(part, [&](auto word) {
      using Word = decltype(word);
      constexpr std::int64_t kBytes = sizeof(Word);
      Buffer<Word, Cuda> packed = to_device(
          stream,
          Span<const Word>(static_cast<const Word*>(source.from), rows.count * part.size / kBytes));
      for_each_row(stream, rows.count,
                   CopyParts<Word, false>{.store = store,
                                          .rows = nullptr,
                                          .first = rows.first,
                                          .offset = part.offset / kBytes,
                                          .words = part.size / kBytes,
                                          .packed = packed.data()});
    });
  }
  stream.wait();
}

}  // namespace keyshard
