// Rows that have another writer between their read and their step. A table with `bp_v2` is written
// by increment: it keeps what the other writer did, and drops what is meant for a row that came or
// went meanwhile.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "embedding/rows/row_functors.hpp"
#include "embedding/rows/row_stages_impl.hpp"
#include "embedding/rows/staging.hpp"
#include "embedding/rows/table.hpp"
#include "runtime/copy.hpp"
#include "runtime/for_each.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

/// Whether the row of key i did not come or go between its read and now.
struct StaysAsRead {
  const RowId* read;
  const RowId* now;

  KEYSHARD_HD bool operator()(std::int64_t i) const {
    return (read[i] == kNoRow) == (now[i] == kNoRow);
  }
};

/// The gradients of a call that are left of it, in memory of their own.
template <Backend B>
struct LeftGradients {
  Buffer<Key, B> keys;
  Buffer<RowId, B> rows;
  Buffer<float, B> values;
  Buffer<std::uint32_t, B> occurrences;
  std::vector<std::shared_ptr<const void>> keep;
};

/// Takes out gradient which[i] of a call.
struct TakeGradient {
  const std::uint32_t* which;
  const Key* from_keys;
  const RowId* from_rows;
  const float* from_values;
  const std::uint32_t* from_occurrences;  ///< null: not counted
  std::int64_t dim;
  Key* keys;
  RowId* rows;
  float* values;
  std::uint32_t* occurrences;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const std::int64_t k = which[i];
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      values[i * dim + d] = from_values[k * dim + d];
    }
    if (team.thread_rank() == 0) {
      keys[i] = from_keys[k];
      rows[i] = from_rows[k];
      if (from_occurrences != nullptr) {
        occurrences[i] = from_occurrences[k];
      }
    }
  }
};

/// The gradients `which` of a call.
template <Backend B>
RowGradients<B> take_gradients(Stream<B>& stream, const RowGradients<B>& call, std::int64_t dim,
                               const Buffer<std::uint32_t, B>& which) {
  const std::int64_t n = which.size();
  const auto left = std::make_shared<LeftGradients<B>>();
  left->keys = {stream, n};
  left->rows = {stream, n};
  left->values = {stream, n * dim};
  left->occurrences = {stream, call.occurrences == nullptr ? 0 : n};
  left->keep = call.keep;
  for_each_row(stream, n,
               TakeGradient{.which = which.data(),
                            .from_keys = call.keys,
                            .from_rows = call.rows,
                            .from_values = call.values,
                            .from_occurrences = call.occurrences,
                            .dim = dim,
                            .keys = left->keys.data(),
                            .rows = left->rows.data(),
                            .values = left->values.data(),
                            .occurrences = left->occurrences.data()});
  return {.size = n,
          .keys = left->keys.data(),
          .rows = left->rows.data(),
          .values = left->values.data(),
          .occurrences = call.occurrences == nullptr ? nullptr : left->occurrences.data(),
          .steps = call.steps,
          .finite = call.finite,
          .keep = {left}};
}

/// Takes the gradients of a table. Where the table is written by increment, those whose row came or
/// went since the call found its rows are dropped and counted.
template <Backend B>
std::vector<RowGradients<B>> take_calls(Stream<B>& stream, Table<B>& table) {
  std::vector<RowGradients<B>> calls = table.take_gradients();
  if (!table.options().bp_v2) {
    return calls;
  }
  for (RowGradients<B>& call : calls) {
    Buffer<RowId, B> now(stream, call.size);
    table.find(stream, {call.keys, call.size}, now.data());
    const Buffer<std::uint32_t, B> left =
        select(stream, call.size, StaysAsRead{call.rows, now.data()});
    if (left.size() < call.size) {
      table.count_dropped(call.size - left.size());
      call = take_gradients(stream, call, table.layout().width, left);
    }
  }
  return calls;
}

/// Whether key i is written back: by value always, by increment where its row neither came nor
/// went.
struct IsWritten {
  StaysAsRead stays;
  bool by_increment;

  KEYSHARD_HD bool operator()(std::int64_t i) const { return !by_increment || stays(i); }
};

/// Writes back row which[i] of those that a program has read and changed.
struct WriteBackRow {
  const TableRef* table;
  const std::uint32_t* which;
  const RowId* rows;  ///< [i]
  const RowId* read;  ///< of each key; kNoRow: it had no row
  const float* old;
  const float* updated;
  bool by_increment;
  WideValues wide;  ///< of row i

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const std::int64_t k = which[i];
    const bool adds = by_increment && read[k] != kNoRow;
    const OpenRow open(*table, rows[i], wide.of_row(i, table->dim));
    open.load(team, *table);
    with_number(table->dtype, [&](auto number) {
      using T = decltype(number);
      write(team, numbers_at<T>(open.values), numbers_at<T>(updated + k * table->dim),
            adds ? numbers_at<T>(old + k * table->dim) : nullptr);
    });
    clip_groups(team, *table, open.values);
    open.store(team, *table);
  }

  /// row = to, or row += to - from. Integers wrap.
  template <class Team, class T>
  KEYSHARD_HD void write(const Team& team, T* row, const T* to, const T* from) const {
    for (std::int64_t d = team.thread_rank(); d < numbers_in<T>(table->dim);
         d += team.num_threads()) {
      if (from == nullptr) {
        row[d] = to[d];
      } else if constexpr (std::numeric_limits<T>::is_integer) {
        const auto bits = [](T x) { return static_cast<std::uint64_t>(x); };
        row[d] = static_cast<T>(bits(row[d]) + (bits(to[d]) - bits(from[d])));
      } else {
        row[d] = row[d] + (to[d] - from[d]);
      }
    }
  }
};

template <Backend B>
void Table<B>::write_back(Stream<B>& stream, const ChangedRows& changed) {
  const std::int64_t n = changed.keys.size();
  if (stored_ != nullptr) {
    if (stored_->writes_through()) {
      drop_rows(*this);  // another writer may have changed them
    }
    stage_keys(stream, *this, to_host(stream, changed.keys), false);
  }
  Buffer<RowId, B> now(stream, n);
  find(stream, changed.keys, now.data());
  const Buffer<std::uint32_t, B> which =
      select(stream, n, IsWritten{{changed.read, now.data()}, options_.bp_v2});
  count_dropped(n - which.size());
  Buffer<Key, B> keys(stream, which.size());
  Buffer<RowId, B> rows(stream, which.size());
  for_each(stream, which.size(), TakeKeys{which.data(), changed.keys.data(), keys.data()});
  find_or_make(stream, std::as_const(keys).span(), rows.data());
  const Table<B>* const self[] = {this};
  const TableRefs<B> refs(stream, self);
  const std::int64_t starts[] = {0, which.size()};
  const WideRows<B> wide(stream, refs, starts);
  for_each_row(stream, which.size(),
               WriteBackRow{.table = refs.data(),
                            .which = which.data(),
                            .rows = rows.data(),
                            .read = changed.read,
                            .old = changed.old,
                            .updated = changed.updated,
                            .by_increment = options_.bp_v2,
                            .wide = wide.tables.front()});
  keep(stream, std::as_const(keys).span(), rows.data());
}

}  // namespace keyshard
