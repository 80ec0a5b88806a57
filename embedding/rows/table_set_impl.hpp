// The bodies of TableSet.
#pragma once

#include "collectives/vote.hpp"
#include "embedding/rows/restrict.hpp"
#include "embedding/rows/row_stages.hpp"
#include "embedding/rows/step_journal.hpp"
#include "embedding/rows/table_set.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/shard_owners.hpp"

namespace keyshard {

template <Backend B>
Table<B>& TableSet<B>::create(const TableOptions& options) {
  for (const auto& table : tables_) {
    require(table->options().name != options.name, Kind::invalid_argument,
            "expected a new name for a table: found \"{}\", which exists; give another name, or "
            "share = \"{}\"",
            options.name, options.name);
  }
  const std::int64_t rank = communicator_->rank(), ranks = communicator_->size();
  const Range shards = owners_of(options, ranks).shards_of(rank);
  std::unique_ptr<Table<B>> table;
  const auto make = [&] { table = std::make_unique<Table<B>>(options, shards, rank, ranks); };
  if (in_memory(options.kv_creator)) {
    make();
  } else {
    vote(host_of(*communicator_), make);
  }
  return *tables_.emplace_back(std::move(table));
}

template <Backend B>
Table<B>& TableSet<B>::at(std::string_view name) const {
  std::vector<std::string> names;
  for (const auto& table : tables_) {
    if (table->options().name == name) {
      return *table;
    }
    names.push_back(table->options().name);
  }
  fail(Kind::invalid_argument, "expected a table of {}: found \"{}\"",
       names.empty() ? "none" : joined(names, ", "), name);
}

template <Backend B>
void TableSet<B>::apply(Stream<B>& stream, const UpdateContext& context) {
  std::vector<Table<B>*> all;
  for (const auto& table : tables_) {
    if (table->options().trainable) {
      all.push_back(table.get());
    }
  }
  if (all.empty()) {
    return;
  }
  if (any_stored(tables_)) {
    apply_stored<B>(stream, *communicator_, all, context);
    for (const auto& table : tables_) {
      if (table->stored() != nullptr) {
        end_step(*table);
      }
    }
  } else {
    apply_gradients<B>(stream, all, context);
  }
  for (Table<B>* table : all) {
    const std::int64_t most = table->options().max_rows;
    if (most > 0 && table->clocks().front().step() % table->options().restrict_every == 0) {
      restrict_rows(stream, *communicator_, *table, most, most);
    }
  }
}

template <Backend B>
std::int64_t TableSet<B>::not_admitted() const {
  bool some = false;
  std::int64_t dropped = 0;
  for (const auto& table : tables_) {
    some |= table->options().admits_some();
    dropped += table->options().admits_some() ? table->dropped() : 0;
  }
  if (some) {
    communicator_->all_reduce(Span<std::int64_t>(&dropped, 1), Reduction::sum);
  }
  return dropped;
}

template <Backend B>
std::optional<FastCounts> TableSet<B>::fast_counts() const {
  bool some = false;
  std::int64_t counts[] = {0, 0};
  for (const auto& table : tables_) {
    const StoredRows* held = table->stored();
    if (held != nullptr && !held->writes_through()) {
      some = true;
      counts[0] += held->counts().found;
      counts[1] += held->counts().fetched;
    }
  }
  if (!some) {
    return std::nullopt;
  }
  communicator_->all_reduce(Span<std::int64_t>(counts, 2), Reduction::sum);
  return FastCounts{counts[0], counts[1]};
}

template <Backend B>
void TableSet<B>::mark_changes(Stream<B>& stream) {
  for (const auto& table : tables_) {
    table->mark_changes(stream);
  }
}

}  // namespace keyshard
