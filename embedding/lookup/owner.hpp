// The side of a rank that owns rows: finds the rows of the keys that it received, and answers.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/lookup/asker.hpp"
#include "embedding/lookup/blocks.hpp"
#include "embedding/lookup/reduced.hpp"
#include "embedding/rows/staging.hpp"

namespace keyshard {

template <Backend B>
struct OwnerState {
  std::vector<std::int64_t> blocks;  ///< [ranks * tables + 1] of received keys
  Buffer<Key, B> keys;               ///< received, in blocks
  Buffer<std::uint16_t, B> shards;   ///< of the received keys; empty where nothing is reduced
  Distinct<B> distinct;              ///< of the received keys; empty on a rank that is alone, where
                                     ///< they are distinct already
  std::vector<std::int64_t> firsts;  ///< [tables + 1] where a table's distinct keys start
  Buffer<RowId, B> rows;             ///< of the distinct keys
  std::vector<std::int64_t> missing;  ///< [tables] distinct keys without a row
  std::vector<std::int64_t> steps;    ///< [tables] Table::steps when the rows were found
  Buffer<float, B> values;            ///< of the distinct keys, table after table; empty where no
                                      ///< part of a bag was received
  Buffer<std::int64_t, B> value_offsets;  ///< floats before the row of a distinct key in `values`;
                                          ///< empty where uniform
  std::vector<std::uint8_t> reduced;      ///< [ranks * tables] the asker asks in reduced form
  BagParts<B> parts;
  BlockLayout answers_layout;  ///< in bytes

  const Key* distinct_keys() const {
    return distinct.keys.empty() ? keys.data() : distinct.keys.data();
  }

  ItemOffsets value_offset(const LookupShape& shape) const {
    return {shape.dims.front(), value_offsets.empty() ? nullptr : value_offsets.data()};
  }
};

/// Deduplicates the received keys; from a single rank they are distinct already.
template <Backend B>
void distinguish_received(Stream<B>& stream, const LookupShape& shape, OwnerState<B>& owner);

/// Brings the rows of the distinct keys from the stores of the tables that have one, and finds
/// them.
template <Backend B>
void find_received(Stream<B>& stream, Span<Table<B>* const> tables, bool inference,
                   OwnerState<B>& owner);

/// Returns the answers, laid out as owner.answers_layout: the row of each received key, or the
/// states of each part where a block is reduced.
template <Backend B>
Buffer<std::byte, B> answer_keys(Stream<B>& stream, const LookupShape& shape,
                                 Span<Table<B>* const> tables, bool inference,
                                 OwnerState<B>& owner);

/// Copies the values of the distinct keys into owner.values; absent keys get theirs as read_rows
/// says.
template <Backend B>
void read_found(Stream<B>& stream, const LookupShape& shape, Span<Table<B>* const> tables,
                bool inference, OwnerState<B>& owner);

}  // namespace keyshard
