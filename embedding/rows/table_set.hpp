// The tables of one job on this rank, by name. Layers and lookups borrow them; a name belongs to
// one table, and a layer that reads a table of another layer says so.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "collectives/communicator.hpp"
#include "embedding/rows/name_scopes.hpp"
#include "embedding/rows/table.hpp"

namespace keyshard {

template <Backend B>
class TableSet {
 public:
  /// Tables hold the shards that this rank of the communicator owns. The communicator is borrowed.
  /// `seed` is that of the job, the same on all ranks: a layer without a seed of its own gives its
  /// table a hash of it and of the name.
  explicit TableSet(Communicator<B>& communicator, std::uint64_t seed = 0)
      : communicator_(&communicator), seed_(seed) {}

  Communicator<B>& communicator() const noexcept { return *communicator_; }

  std::uint64_t seed() const noexcept { return seed_; }

  /// Makes a table, which the set owns. Throws Error{invalid_argument} for bad options, or where
  /// the name is taken. Collective where the table has a store, which is opened.
  Table<B>& create(const TableOptions& options);

  /// The table of that name. Throws Error{invalid_argument} with the names of all tables where
  /// there is none.
  Table<B>& at(std::string_view name) const;

  /// The names and scopes of the layers over these tables; each layer shares them.
  const std::shared_ptr<NameScopes>& scopes() const noexcept { return scopes_; }

  /// In the order of creation.
  const std::vector<std::unique_ptr<Table<B>>>& tables() const noexcept { return tables_; }

  /// Makes one optimizer step on all trainable tables together: all change or none
  /// (apply_gradients). Then
  /// restricts the tables that have `max_rows`, each in its own steps (restrict_rows). Collective
  /// where a table has `max_rows` or a store.
  void apply(Stream<B>& stream, const UpdateContext& context);

  /// Table::dropped of the tables with an admission, over all ranks. Collective where there is one.
  std::int64_t not_admitted() const;

  /// The rows that steps of tables with `tiered` have used so far, over all ranks; nothing where
  /// there is no such table. Collective where there is one.
  std::optional<FastCounts> fast_counts() const;

  /// Table::mark_changes of all tables, for instance after a save.
  void mark_changes(Stream<B>& stream);

 private:
  Communicator<B>* communicator_;
  std::uint64_t seed_;
  std::shared_ptr<NameScopes> scopes_ = std::make_shared<NameScopes>();
  std::vector<std::unique_ptr<Table<B>>> tables_;
};

}  // namespace keyshard
