// What a step does to the rows of several tables, one launch for all of them. Keys stand table
// after table: table t has the keys starts[t] .. starts[t + 1], and `starts` is a host plan. Keys
// of a table are distinct and owned by this rank.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/rows/table.hpp"
#include "embedding/rows/table_ref.hpp"

namespace keyshard {

template <Backend B>
class StepJournal;

/// Keys of several tables, borrowed from a device.
struct TableKeys {
  const Key* keys;
  Span<const std::int64_t> starts;
};

/// Whether a key has no row.
struct IsMissing {
  const RowId* rows;

  KEYSHARD_HD bool operator()(std::int64_t i) const { return rows[i] == kNoRow; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t /*table*/, const Body& body) const {
    body(*this);
  }
};

/// taken[i] = key indices[i].
struct TakeKeys {
  const std::uint32_t* indices;
  const Key* keys;
  Key* taken;

  KEYSHARD_HD void operator()(std::int64_t i) const { taken[i] = keys[indices[i]]; }
};

/// The refs of several tables, on the device. Good until one of the tables gets rows or makes a
/// step.
template <Backend B>
class TableRefs {
 public:
  TableRefs(Stream<B>& stream, Span<const Table<B>* const> tables);

  /// Begins a step: the clocks of the tables tick. The refs are good for that step.
  TableRefs(Stream<B>& stream, Span<Table<B>* const> tables, const UpdateContext& context);

  const TableRef* data() const { return device_; }

  std::int64_t size() const { return static_cast<std::int64_t>(refs_.size()); }

  /// Floats that the values of a row of a table take, all groups.
  std::int64_t dim(std::int64_t table) const { return refs_[static_cast<std::size_t>(table)].dim; }

  /// Whether a table keeps 16-bit floats.
  bool is_short(std::int64_t table) const { return keyshard::is_short(dtype(table)); }

  ValueDtype dtype(std::int64_t table) const {
    return refs_[static_cast<std::size_t>(table)].dtype;
  }

 private:
  void bring(Stream<B>& stream, Span<const Table<B>* const> tables);

  /// Puts the constants per column of all groups where functors can read them.
  void bring_constants(Stream<B>& stream);

  std::vector<GroupRef> groups_;
  std::vector<double> constants_;
  std::vector<TableRef> refs_;
  Buffer<double, B> constant_storage_;
  Buffer<GroupRef, B> group_storage_;
  Buffer<TableRef, B> ref_storage_;
  const TableRef* device_ = nullptr;
};

/// Where the values of each table start, in floats, if the values of all keys lie one after
/// another, doubles at even places; the last entry is their end.
template <Backend B>
std::vector<std::int64_t> value_bases(const TableRefs<B>& tables, Span<const std::int64_t> starts) {
  std::vector<std::int64_t> bases{0};
  for (std::int64_t t = 0; t < tables.size(); ++t) {
    bases.back() += tables.dtype(t) == ValueDtype::float64 ? bases.back() % 2 : 0;
    bases.push_back(bases.back() + (starts[t + 1] - starts[t]) * tables.dim(t));
  }
  return bases;
}

/// rows[i] = the row of keys[i], or kNoRow. Returns how many keys of each table have none. Waits.
template <Backend B>
std::vector<std::int64_t> find_rows(Stream<B>& stream, const TableRefs<B>& tables,
                                    const TableKeys& keys, RowId* rows);

/// out gets the values of the keys, table after table, [keys of t x dim of t] each (floats_of). An
/// absent key reads as its initial value, or as zeros where `inference` and the options say so.
template <Backend B>
void read_rows(Stream<B>& stream, const TableRefs<B>& tables, const TableKeys& keys,
               const RowId* rows, bool inference, float* out);

/// places[i] = where the values of keys[i] lie (floats_of): without a copy in the table of the key,
/// until that table makes a step; in the buffer that is returned for an absent key, and for every
/// key of a table of 16-bit floats.
template <Backend B>
Buffer<float, B> locate_rows(Stream<B>& stream, const TableRefs<B>& tables, const TableKeys& keys,
                             const RowId* rows, bool inference, const float** places);

/// Gives every key whose row is kNoRow a new row, which has no content yet. Returns the first new
/// row of each table; all rows from there on are new. Waits.
template <Backend B>
std::vector<RowId> insert_missing(Stream<B>& stream, Span<Table<B>* const> tables,
                                  const TableKeys& keys, RowId* rows);

/// Makes one optimizer step on every table, with the gradients that Table::add was given since the
/// last step; creates missing rows, those of keys that their table admits. Gradients are checked
/// first, so that all tables change or none: throws Error{non_finite} naming a table, its readers
/// and a key before any row of this rank has changed. The tables keep no gradients afterwards, in
/// either case. A `journal` takes what is needed to take the step back.
template <Backend B>
void apply_gradients(Stream<B>& stream, Span<Table<B>* const> tables, const UpdateContext& context,
                     StepJournal<B>* journal = nullptr);

}  // namespace keyshard
