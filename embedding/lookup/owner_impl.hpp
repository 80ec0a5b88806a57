// The bodies of the side that owns rows.
#pragma once

#include <algorithm>
#include <utility>

#include "embedding/lookup/own_pooling.hpp"
#include "embedding/lookup/owner.hpp"
#include "embedding/lookup/short_answers.hpp"
#include "embedding/rows/row_functors.hpp"
#include "runtime/copy.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

template <Backend B>
void distinguish_received(Stream<B>& stream, const LookupShape& shape, OwnerState<B>& owner) {
  owner.firsts = owner.blocks;
  if (shape.ranks > 1) {
    owner.distinct = dedup(stream, Occurrences{.keys = std::as_const(owner.keys).span(),
                                               .blocks = owner.blocks,
                                               .partitioners = shape.partitioners});
    owner.firsts = owner.distinct.blocks;
  }
}

template <Backend B>
void find_received(Stream<B>& stream, Span<Table<B>* const> tables, bool inference,
                   OwnerState<B>& owner) {
  stage_rows(stream, tables, {owner.distinct_keys(), owner.firsts}, !inference);
  owner.rows = {stream, owner.firsts.back()};
  owner.missing = find_rows(stream, TableRefs<B>(stream, tables),
                            {owner.distinct_keys(), owner.firsts}, owner.rows.data());
  for (const Table<B>* table : tables) {
    owner.steps.push_back(table->steps());
  }
}

/// Floats before the values of each distinct key of an owner, which lie table after table; empty
/// where all rows have one width.
template <Backend B>
Buffer<std::int64_t, B> place_values(Stream<B>& stream, const LookupShape& shape,
                                     const std::vector<std::int64_t>& firsts,
                                     const std::vector<std::int64_t>& bases) {
  if (shape.uniform()) {
    return {};
  }
  std::vector<std::int64_t> bytes;
  for (const std::int64_t base : bases) {
    bytes.push_back(base * static_cast<std::int64_t>(sizeof(float)));
  }
  return place_rows(stream, shape, firsts, bytes);
}

template <Backend B>
void read_found(Stream<B>& stream, const LookupShape& shape, Span<Table<B>* const> tables,
                bool inference, OwnerState<B>& owner) {
  const TableRefs<B> refs(stream, tables);
  const std::vector<std::int64_t> bases = value_bases(refs, Span<const std::int64_t>(owner.firsts));
  owner.values = {stream, bases.back()};
  read_rows(stream, refs, {owner.distinct_keys(), owner.firsts}, owner.rows.data(), inference,
            owner.values.data());
  owner.value_offsets = place_values(stream, shape, owner.firsts, bases);
}

/// Answers with the rows of the received keys, but not those of reduced blocks.
struct AnswerRows {
  const TableRef* tables;
  std::int64_t num_tables;
  const Key* keys;               ///< distinct ones
  const RowId* rows;             ///< of the distinct keys
  const std::uint32_t* inverse;  ///< distinct key of each received one; null: itself
  const std::int64_t* blocks;    ///< of the received keys
  const std::int64_t* bases;     ///< bytes before each block of the answers
  const std::uint8_t* reduced;   ///< of each block
  bool inference;
  std::byte* answers;
  const std::int64_t* spare_bases;  ///< floats before the spare place of each block; null where no
                                    ///< table keeps 16-bit floats
  float* spare;

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t block, const Body& body) const {
    const TableRef* table = tables + block % num_tables;
    if (reduced[block] != 0) {
      return;
    }
    if (is_short(table->dtype)) {
      body(PackRow{.table = table,
                   .keys = keys,
                   .rows = rows,
                   .which = inverse,
                   .first = blocks[block],
                   .inference = inference,
                   .spare = spare + spare_bases[block],
                   .out = reinterpret_cast<std::uint16_t*>(answers + bases[block])});
    } else {
      body(ReadRow{.table = table,
                   .keys = keys,
                   .rows = rows,
                   .which = inverse,
                   .first = blocks[block],
                   .inference = inference,
                   .out = reinterpret_cast<float*>(answers + bases[block])});
    }
  }
};

/// How the answers lie.
template <Backend B>
BlockLayout plan_own_answers(const LookupShape& shape, const OwnerState<B>& owner) {
  std::vector<std::int64_t> sizes = sizes_of(owner.blocks);
  for (std::size_t b = 0; b < sizes.size(); ++b) {
    sizes[b] =
        owner.reduced[b] != 0
            ? owner.parts.state_bytes[b]
            : shape.answer_bytes(
                  sizes[b], static_cast<std::size_t>(shape.table_of(static_cast<std::int64_t>(b))));
  }
  return {sizes, shape.ranks};
}

/// Where absent keys of each block get their floats before they are rounded; empty where no table
/// keeps 16-bit floats.
template <Backend B>
std::vector<std::int64_t> plan_spare(const LookupShape& shape, const OwnerState<B>& owner) {
  if (!shape.any_short()) {
    return {};
  }
  std::vector<std::int64_t> sizes = sizes_of(owner.blocks);
  for (std::size_t b = 0; b < sizes.size(); ++b) {
    const auto t = static_cast<std::size_t>(shape.table_of(static_cast<std::int64_t>(b)));
    sizes[b] *= is_short(shape.dtypes[t]) ? shape.dims[t] : 0;
  }
  return BlockLayout(sizes, shape.ranks).bases;
}

/// Answers the parts of bags of reduced blocks; `rows` answers the other blocks.
template <Backend B>
void answer_parts(Stream<B>& stream, const LookupShape& shape, Span<Table<B>* const> tables,
                  const AnswerRows& rows, OwnerState<B>& owner) {
  if (owner.parts.parts.empty()) {
    return;
  }
  read_found(stream, shape, tables, rows.inference, owner);
  const DeviceShape<B> device(stream, shape);
  const std::int64_t parts = owner.parts.parts.size();
  const ReduceParts reduce{.shape = device.ref,
                           .parts = owner.parts.parts.data(),
                           .items = owner.parts.items.data(),
                           .key_blocks = rows.blocks,
                           .inverse = rows.inverse,
                           .shards = owner.shards.data(),
                           .values = owner.values.data(),
                           .value_offset = owner.value_offset(shape),
                           .bases = rows.bases,
                           .answers = rows.answers};
  for_each_row(stream, parts, reduce);
  for_own_combiners<ReduceOwnParts>(stream, shape, parts, reduce);
}

template <Backend B>
Buffer<std::byte, B> answer_keys(Stream<B>& stream, const LookupShape& shape,
                                 Span<Table<B>* const> tables, bool inference,
                                 OwnerState<B>& owner) {
  owner.answers_layout = plan_own_answers(shape, owner);
  Buffer<std::byte, B> answers(stream, owner.answers_layout.size());
  const TableRefs<B> refs(stream, tables);
  const std::vector<std::int64_t> spare_bases = plan_spare(shape, owner);
  Buffer<float, B> spare(stream, spare_bases.empty() ? 0 : spare_bases.back());
  Buffer<std::int64_t, B> blocks_storage, bases_storage, spare_storage;
  Buffer<std::uint8_t, B> reduced_storage;
  const AnswerRows rows{
      .tables = refs.data(),
      .num_tables = shape.tables(),
      .keys = owner.distinct_keys(),
      .rows = owner.rows.data(),
      .inverse = owner.distinct.inverse.data(),
      .blocks = device_view<std::int64_t>(stream, owner.blocks, blocks_storage),
      .bases = device_view<std::int64_t>(stream, owner.answers_layout.bases, bases_storage),
      .reduced = device_view<std::uint8_t>(stream, owner.reduced, reduced_storage),
      .inference = inference,
      .answers = answers.data(),
      .spare_bases = device_view<std::int64_t>(stream, spare_bases, spare_storage),
      .spare = spare.data()};
  for_each_run(stream, Span<const std::int64_t>(owner.blocks), rows);
  answer_parts(stream, shape, tables, rows, owner);
  return answers;
}

}  // namespace keyshard
