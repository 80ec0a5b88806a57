// Saves the tables of a program and loads them again: rows, states and clocks of optimizers. Any
// number of ranks loads what any number of ranks saved. A program whose state is its tables needs
// only `save_tables` and `load_tables`; the other functions are parts of these two, for a program
// that saves through a CheckpointWriter of its own.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "embedding/rows/table_set.hpp"
#include "io/checkpoint_reader.hpp"
#include "io/checkpoint_writer.hpp"
#include "runtime/error.hpp"

namespace keyshard {

/// What a program saves beside its tables.
struct TableSaveOptions {
  std::int64_t step = 0;           ///< names the checkpoint: FOLDER/step-000123
  SettingValue state;              ///< whatever the program wants to find again; may be empty
  std::vector<DenseSource> dense;  ///< what every rank has whole
  Retention retention;
};

/// Saves tables between two steps as a checkpoint in `folder`, which is made where it is missing.
/// The checkpoint becomes visible whole or not at all. No other program may save there meanwhile.
/// Returns the path of the checkpoint.
/// Throws Error{io} on all ranks, naming the path. Collective.
template <Backend B>
std::string save_tables(const std::string& folder, TableSet<B>& tables, Stream<B>& stream,
                        const TableSaveOptions& options);

/// What was saved beside the tables.
struct TableLoad {
  std::int64_t step = 0;
  SettingValue state;
  std::map<std::string, std::vector<std::byte>> dense;  ///< by name
};

/// Loads the checkpoint `path` of save_tables into tables without rows; tables with stores lose
/// what their stores hold. Names, columns and those options of the tables that decide results must
/// be the saved ones, in the same order. Throws Error{corrupt_data} on all ranks where one differs,
/// or where the checkpoint is damaged; tables without stores then have no rows, as before. With a
/// store everything is checked before a store loses anything; else each row is checked before it
/// comes to a table, and everything except the rows before any. Collective.
template <Backend B>
TableLoad load_tables(const std::string& path, TableSet<B>& tables, Stream<B>& stream);

/// The tables as a CheckpointWriter takes them. The tables are borrowed. Collective where a table
/// has a store.
template <Backend B>
std::vector<TableSource> table_sources(const TableSet<B>& tables);

/// Throws Error{corrupt_data} where the checkpoint was made of other tables than `tables`, and
/// Error{invalid_argument} where `tables` have rows and no stores. Touches no table.
template <Backend B>
void check_tables(const std::string& path, const Manifest& manifest, const TableSet<B>& tables);

/// When the files of a checkpoint must be checked that is loaded into these tables: rows that are
/// refused can leave memory again, but what a store has lost is gone.
template <Backend B>
FileCheck file_check_of(const TableSet<B>& tables);

/// Loads the rows of tables that check_tables has accepted. Where it throws, tables without stores
/// have no rows. Collective.
template <Backend B>
void load_rows(CheckpointReader& reader, TableSet<B>& tables, Stream<B>& stream);

/// Throws Error{corrupt_data} where a checkpoint has another value than the program that loads it.
inline void require_saved(const std::string& path, const std::string& what,
                          const std::string& expected, const std::string& found) {
  require(expected == found, Kind::corrupt_data, "{}: expected {} {} of this job: found {}", path,
          what, expected, found);
}

}  // namespace keyshard
