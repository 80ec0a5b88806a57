// Rows of 16-bit floats on their way: an owner answers with them as its table keeps them, which is
// half the bytes, and the asker widens all rows into one array of floats. The bits are those of
// rows that travel as floats, because the rows of such a table are 16-bit floats, those of absent
// keys included.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "embedding/lookup/asker.hpp"
#include "embedding/rows/row_functors.hpp"
#include "runtime/copy.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

/// out + (i - first) * dim gets the 16-bit values of key which[i] of the table, or of key i where
/// `which` is null.
struct PackRow {
  const TableRef* table;
  const Key* keys;
  const RowId* rows;
  const std::uint32_t* which;  ///< null: the index itself
  std::int64_t first;
  bool inference;
  float* spare;  ///< for the floats of absent keys: those of i at (i - first) * dim
  std::uint16_t* out;

  KEYSHARD_HD std::int64_t key_of(std::int64_t i) const { return which == nullptr ? i : which[i]; }

  KEYSHARD_HD void fetch(std::int64_t i) const {
    const RowId row = rows[key_of(i)];
    if (row != kNoRow) {
      prefetch(short_values(table->store.row(row)), table->dim);
    }
  }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const std::int64_t key = key_of(i), place = (i - first) * table->dim;
    if (rows[key] == kNoRow) {
      read_absent(team, *table, keys[key], inference, spare + place);
      team.sync();
      narrow_values(team, table->dtype, table->dim, spare + place, out + place);
      return;
    }
    const std::uint16_t* from = short_values(table->store.row(rows[key]));
    with_width(table->dim, [&](auto n) {
      for (std::int64_t d = team.thread_rank(); d < n; d += team.num_threads()) {
        out[place + d] = from[d];
      }
    });
  }
};

/// Widens the rows of a block of answers, or copies rows that are floats.
struct UnpackRows {
  const std::int64_t* blocks;   ///< of the keys
  const std::int64_t* bases;    ///< bytes before each block of the answers
  const std::int64_t* places;   ///< bytes before the floats of each block
  const std::int64_t* dims;     ///< of each table
  const ValueDtype* dtypes;     ///< of each table
  const std::uint8_t* reduced;  ///< of each table: its blocks hold no rows
  std::int64_t tables;
  const std::byte* answers;
  float* out;

  struct Row {
    std::int64_t first;
    std::int64_t dim;
    ValueDtype dtype;
    const std::byte* answers;
    float* out;

    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t u, const Team& team) const {
      const std::int64_t place = (u - first) * dim;
      if (is_short(dtype)) {
        const auto* values = reinterpret_cast<const std::uint16_t*>(answers);
        return widen_values(team, dtype, dim, values + place, out + place);
      }
      const auto* values = reinterpret_cast<const float*>(answers);
      for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
        out[place + d] = values[place + d];
      }
    }
  };

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t block, const Body& body) const {
    const std::int64_t t = block % tables;
    if (reduced[t] == 0) {
      body(Row{blocks[block], dims[t], dtypes[t], answers + bases[block],
               out + places[block] / static_cast<std::int64_t>(sizeof(float))});
    }
  }
};

/// The rows of all answers as floats, as asker.values_layout has them.
template <Backend B>
Buffer<float, B> unpack_rows(Stream<B>& stream, const LookupShape& shape,
                             const AskerState<B>& asker) {
  const Span<const std::int64_t> blocks(asker.distinct.blocks);
  Buffer<float, B> values(stream,
                          asker.values_layout.size() / static_cast<std::int64_t>(sizeof(float)));
  Buffer<std::int64_t, B> blocks_storage, bases_storage, places_storage, dims_storage;
  Buffer<ValueDtype, B> dtypes_storage;
  Buffer<std::uint8_t, B> reduced_storage;
  for_each_run(
      stream, blocks,
      UnpackRows{
          .blocks = device_view(stream, blocks, blocks_storage),
          .bases = device_view<std::int64_t>(stream, asker.answers_layout.bases, bases_storage),
          .places = device_view<std::int64_t>(stream, asker.values_layout.bases, places_storage),
          .dims = device_view<std::int64_t>(stream, shape.dims, dims_storage),
          .dtypes = device_view<ValueDtype>(stream, shape.dtypes, dtypes_storage),
          .reduced = device_view<std::uint8_t>(stream, asker.reduced, reduced_storage),
          .tables = shape.tables(),
          .answers = asker.answers.data(),
          .out = values.data()});
  return values;
}

}  // namespace keyshard
