#include <algorithm>

#include "embedding/rows/table_set.hpp"
#include "runtime/error.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

template <>
Table<Cpu>& TableSet<Cpu>::create(const TableOptions& options) {
  for (const auto& table : tables_) {
    require(table->options().name != options.name, Kind::invalid_argument,
            "expected a new name for a table: found \"{}\", which exists; give another name, or "
            "share = \"{}\"",
            options.name, options.name);
  }
  tables_.push_back(std::make_unique<Table<Cpu>>(
      options, run_of(communicator_->rank(), communicator_->size(), kShards)));
  return *tables_.back();
}

template <>
Table<Cpu>& TableSet<Cpu>::at(std::string_view name) const {
  std::vector<std::string> names;
  for (const auto& table : tables_) {
    if (table->options().name == name) {
      return *table;
    }
    names.push_back(table->options().name);
  }
  fail(Kind::invalid_argument, "expected a table of {}: found \"{}\"",
       names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")), name);
}

template <>
void TableSet<Cpu>::apply(Stream<Cpu>& stream, const UpdateContext& context) {
  for (const auto& table : tables_) {
    table->apply(stream, context);
  }
}

}  // namespace keyshard
