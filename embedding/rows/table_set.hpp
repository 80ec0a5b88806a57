// The tables of one job on this rank, by name. Layers and lookups borrow them; a name belongs to
// one table, and whoever wants to read the same one says so.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "collectives/communicator.hpp"
#include "embedding/rows/table.hpp"

namespace keyshard {

template <Backend B>
class TableSet {
 public:
  /// Tables hold the shards that this rank of the communicator owns. The communicator is borrowed.
  explicit TableSet(Communicator<B>& communicator) : communicator_(&communicator) {}

  Communicator<B>& communicator() const noexcept { return *communicator_; }

  /// A new table. Throws Error{invalid_argument} for bad options, or where the name is taken.
  Table<B>& create(const TableOptions& options);

  /// The table of that name. Throws Error{invalid_argument} with the names there are.
  Table<B>& at(std::string_view name) const;

  /// In the order of creation.
  const std::vector<std::unique_ptr<Table<B>>>& tables() const noexcept { return tables_; }

  /// One optimizer step on every table (Table::apply).
  void apply(Stream<B>& stream, const UpdateContext& context);

 private:
  Communicator<B>* communicator_;
  std::vector<std::unique_ptr<Table<B>>> tables_;
};

}  // namespace keyshard
