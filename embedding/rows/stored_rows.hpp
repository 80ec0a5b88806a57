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

/// Rows that steps have used, each once a step: those that lay in memory, and those that came from
/// the store.
struct FastCounts {
  std::int64_t found = 0;
  std::int64_t fetched = 0;

  /// Of these rows, how many lay in memory; 1 where no row was used.
  double share() const {
    const auto all = static_cast<double>(found + fetched);
    return all > 0 ? static_cast<double>(found) / all : 1;
  }
};

class StoredRows {
 public:
  /// Opens the store of `options`; one in the memory of the host takes it from `memory`. Throws as
  /// make_store.
  StoredRows(const TableOptions& options, const RowLayout& layout, const StoreOwner& owner,
             const HostMemory& memory);

  Store& store() noexcept { return *store_; }

  /// The store, where its records lie in the memory of the host, else null.
  HostStore* host_store() const noexcept { return host_store_; }

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

  /// Counts those of these rows that the present step has not used yet as found in memory.
  void count_found(const std::vector<RowId>& rows);

  void count_fetched(std::int64_t n) noexcept { counts_.fetched += n; }

  const FastCounts& counts() const noexcept { return counts_; }

  /// The next step begins.
  void end_step();

  // State of the present step.

  std::vector<HeldRow> rows;                ///< of each row in memory, by its number
  std::unordered_set<Key, KeyHash> absent;  ///< keys that the store was asked for and has not
  bool trains = false;  ///< rows in memory may have gradients, so none may leave but by its age

  std::optional<KeyChanges> changes;  ///< since the mark; nothing: no mark

 private:
  std::unique_ptr<Store> store_;
  HostStore* host_store_ = nullptr;
  std::int64_t fast_bytes_ = 0;
  std::int64_t most_rows_ = 0;
  std::uint32_t step_ = 1;  // 0: before the first one
  FastCounts counts_;
  std::mutex mutex_, shard_mutex_;
};

}  // namespace keyshard
