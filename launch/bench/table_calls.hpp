// One table and calls of some of its keys, on any device: what the measures of a table alone time.
// The table gets its rows a call at a time, and has room for all of them from the start. The keys
// of a call are distinct and lie on the device.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/rows/table.hpp"
#include "launch/bench/limits.hpp"

namespace keyshard {

struct CallSizes {
  std::int64_t dim = 8;       ///< numbers of a row
  std::int64_t capacity = 0;  ///< rows that there is room for
  std::int64_t call = 0;      ///< keys of a call
};

template <Backend B>
class TableCalls {
 public:
  /// An empty table of one rank, stepped by SGD. The stream is borrowed.
  TableCalls(Stream<B>& stream, const CallSizes& sizes);

  /// Brings the next keys that have no rows to the device, for a table of up to `rows` rows: as
  /// many as a call has, or what is left. Returns how many.
  std::int64_t bring_new(std::int64_t rows);
  /// Gives the keys that bring_new has brought their rows: find_or_insert of new keys.
  void insert_new();

  /// Draws the calls that the next functions make, among the keys that have rows.
  void draw();

  /// The row of each key of a call.
  void find(std::int64_t step);
  /// The same by find_or_insert, which finds that no key is new.
  void find_or_insert(std::int64_t step);
  /// The row of each key, and its values.
  void lookup(std::int64_t step);
  /// One optimizer step of each key, whose row is known as it is after a lookup, with gradients
  /// that were checked.
  void update(std::int64_t step);

  std::int64_t rows() const { return table_.size(); }

  /// The share of the slots of the index that keys fill.
  double fill() const;

  // For tests.

  /// [call] as find, find_or_insert or lookup wrote them last; kPreparedCalls times for the calls
  /// that were drawn.
  Span<const RowId> found() const { return found_.span(); }

  /// [call x dim] as `lookup` wrote them last.
  Span<const float> values() const { return values_.span(); }

  Table<B>& table() noexcept { return table_; }

  /// The keys of a call, on the device.
  Span<const Key> keys(std::int64_t step) const;

 private:
  Stream<B>& stream_;
  CallSizes sizes_;
  Table<B> table_;
  std::int64_t keyed_ = 0;  // keys that bring_new has brought so far
  Buffer<Key, B> new_keys_;
  Buffer<Key, B> drawn_;         // [kPreparedCalls x call]
  Buffer<RowId, B> drawn_rows_;  // of these keys
  Buffer<RowId, B> found_;
  Buffer<float, B> values_;
  Buffer<float, B> gradients_;
};

/// Key number i of the measures of a table. No two are the same.
Key table_key(std::int64_t i);

}  // namespace keyshard
