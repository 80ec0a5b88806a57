// What a table has beside its rows in memory where a store holds them (TableOptions::kv_creator).
// The table is then the place to which rows are brought: before a step or a lookup uses keys, the
// store is asked once for all that are not in memory (`stage`); changed rows go back after the
// step. With redis and rocksdb they are written at once and leave memory with the end of the step;
// with tiered they stay while there is room, and the least recently used leave first.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <vector>

#include "embedding/rows/key_changes.hpp"
#include "embedding/rows/row_layout.hpp"
#include "embedding/stores/make_store.hpp"

namespace keyshard {

/// The records of a table: all columns of a row, one after another.
RecordLayout record_layout(const TableOptions& options, const RowLayout& layout);

/// What is known of a row in memory.
struct HeldRow {
  std::uint32_t used = 0;  ///< the step of its last use
  bool changed = false;    ///< it differs from its record
  bool stored = false;     ///< it has a record
};

class StoredRows {
 public:
  /// Opens the store of `options`. Throws as make_store.
  StoredRows(const TableOptions& options, const RowLayout& layout, const StoreOwner& owner);

  Store& store() noexcept { return *store_; }

  /// Whether rows leave memory with the end of the step. Else they stay, up to `most_rows`.
  bool writes_through() const noexcept { return most_rows_ == 0; }

  /// 0 where none stay.
  std::int64_t most_rows() const noexcept { return most_rows_; }

  std::int64_t fast_bytes() const noexcept { return fast_bytes_; }

  /// Keys that a program writes at a time, where it writes more.
  std::int64_t piece() const noexcept;

  /// Of calls that read or bring rows, which threads may make at once. Held over parallel loops, so
  /// no task of a loop takes it.
  std::mutex& mutex() noexcept { return mutex_; }

  /// Of tasks that save or load shards: the store answers one request at a time.
  std::mutex& shard_mutex() noexcept { return shard_mutex_; }

  /// Notes that a step uses these rows.
  void use(const std::vector<RowId>& rows);

  /// The next step begins.
  void end_step();

  // State of the present step.

  std::vector<HeldRow> rows;                ///< of each row in memory, by its number
  std::unordered_set<Key, KeyHash> absent;  ///< keys that the store was asked for and has not
  bool trains = false;  ///< rows in memory may have gradients, so none may leave but by its age

  std::optional<KeyChanges> changes;  ///< since the mark; nothing: no mark

 private:
  std::unique_ptr<Store> store_;
  std::int64_t fast_bytes_ = 0;
  std::int64_t most_rows_ = 0;
  std::uint32_t step_ = 0;
  std::mutex mutex_, shard_mutex_;
};

}  // namespace keyshard
