// What a step has changed, where a table of the step has a store: a store may fail when the step
// has changed rows in memory, and the rows of other ranks. Then all tables go back to what they
// were.
#pragma once

#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "embedding/rows/row_stages.hpp"
#include "embedding/rows/stored_rows.hpp"

namespace keyshard {

/// The part of one table, on the host.
template <Backend B>
struct TableJournal {
  Table<B>* table;
  std::vector<OptimizerClock> clocks;  ///< before the step
  std::int64_t dropped = 0;            ///< before the step
  RowId rows = 0;                      ///< in memory, before the step
  std::vector<StoreKey> keys;          ///< that the step has written
  std::vector<RowId> written;          ///< their rows
  std::vector<std::uint8_t> existed;   ///< whether they had rows
  std::vector<float> before;           ///< [keys x size] the records of those that had
  std::vector<Key> sighted;            ///< keys without a row, where the table admits by count
  std::vector<std::uint32_t> counts;   ///< of these, before the step
};

template <Backend B>
class StepJournal {
 public:
  /// Before the step.
  explicit StepJournal(Span<Table<B>* const> tables);

  /// Takes the keys of the step, whose rows are as they were.
  void note_before(Stream<B>& stream, const TableKeys& keys, const RowId* rows);

  /// Takes the rows that the keys have got.
  void note_rows(Stream<B>& stream, const TableKeys& keys, const RowId* rows);

  /// Writes the changed rows of the tables that have stores.
  void write();

  /// Notes what the step has changed, for Table::changes of tables that have stores.
  void note_changes();

  /// Takes back what `write` has written, also where it has failed. Throws where that cannot be
  /// done or known, naming the store.
  void undo_writes();

  /// Takes back what the step has changed in memory.
  void undo_memory(Stream<B>& stream);

 private:
  std::vector<TableJournal<B>> tables_;
  std::size_t written_ = 0;  // tables that `write` has begun with
  bool failed_ = false;      // the last of these failed
};

/// apply_gradients for tables of which some have stores: brings what the step needs, makes the step
/// and writes what it has changed, on all ranks or on none. Where a store fails, the step changes
/// nothing, or the message says what may remain. Collective.
template <Backend B>
void apply_stored(Stream<B>& stream, Communicator<B>& communicator, Span<Table<B>* const> tables,
                  const UpdateContext& context);

}  // namespace keyshard
