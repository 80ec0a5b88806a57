// Rows between the store of a table and its memory (stored_rows.hpp): they are brought before keys
// are used, and written back after they have changed.
#pragma once

#include <vector>

#include "collectives/communicator.hpp"
#include "collectives/vote.hpp"
#include "embedding/rows/row_stages.hpp"
#include "embedding/rows/stored_rows.hpp"

namespace keyshard {

/// Whether one of the tables has a store.
template <class Tables>
bool any_stored(const Tables& tables) {
  for (const auto& table : tables) {
    if (table->stored() != nullptr) {
      return true;
    }
  }
  return false;
}

/// Holds the tables that have stores, each once, for a call that brings and reads rows. Where there
/// are several ranks never over an exchange: threads of other ranks may take them in another order.
template <Backend B>
class StoreLocks {
 public:
  explicit StoreLocks(Span<Table<B>* const> tables);

 private:
  std::vector<std::unique_lock<std::mutex>> locks_;
};

/// Calls body(), which brings rows from the stores of tables and reads them. Where there are
/// several ranks the tables are held for it; a rank that is alone holds them itself, as long as it
/// reads. Where a table has a store, a body that fails on a rank fails on all. Collective then.
template <Backend B, class Body>
void with_stores(Communicator<B>& communicator, Span<Table<B>* const> tables, const Body& body) {
  if (!any_stored(tables)) {
    return body();
  }
  vote(host_of(communicator), [&] {
    const StoreLocks<B> locks(communicator.size() > 1 ? tables : Span<Table<B>* const>());
    body();
  });
}

/// Brings the rows of the keys of every table that has a store into memory: one request for each of
/// these tables, which may be listed several times. `trains` says that gradients of these keys may
/// come. On this rank alone.
template <Backend B>
void stage_rows(Stream<B>& stream, Span<Table<B>* const> tables, const TableKeys& keys,
                bool trains);

/// The same for distinct keys of one table with a store.
template <Backend B>
void stage_keys(Stream<B>& stream, Table<B>& table, const std::vector<Key>& keys, bool trains);

/// Brings what the next step of a table with a store needs.
template <Backend B>
void stage_gradients(Stream<B>& stream, Table<B>& table);

/// Removes all rows of a table with a store from memory, and what is known of the present step.
template <Backend B>
void drop_rows(Table<B>& table);

/// Removes all rows of a table with a store, there and in memory.
template <Backend B>
void empty_store(Table<B>& table);

/// Writes all rows in memory that differ from their records to the store, and removes them from
/// memory. Between two steps.
template <Backend B>
void write_down(Stream<B>& stream, Table<B>& table);

/// The end of a step for a table with a store: what does not stay leaves memory.
template <Backend B>
void end_step(Table<B>& table);

/// Takes rows in memory that have been made or changed: writes them to the store, or notes that
/// they differ from it. [n] keys with their rows; `existed` and `before` as ChangedRecords has
/// them, null where the rows are written by value.
template <Backend B>
void keep_changed(Table<B>& table, const std::vector<StoreKey>& keys,
                  const std::vector<RowId>& rows, const std::uint8_t* existed, const float* before);

}  // namespace keyshard
