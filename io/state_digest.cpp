#include "io/state_digest.hpp"

namespace keyshard {

void StateDigest::add(const TableDigests& table) {
  begin_table(table.name, table.columns);
  add_shards(table.digests);
}

void StateDigest::begin_table(const std::string& name, const std::vector<std::string>& columns) {
  digest_.add(name);
  for (const std::string& column : columns) {
    digest_.add(column);
  }
}

void StateDigest::add_shards(Span<const Digest128> digests) { digest_.add(digests); }

void StateDigest::add(const NamedDigests& dense) {
  for (const auto& [name, part] : dense) {
    digest_.add(name).add(part);
  }
}

Digest128 StateDigest::result(std::int64_t step) {
  return digest_.add(static_cast<std::uint64_t>(step)).result();
}

Digest128 state_digest(const std::vector<TableDigests>& tables, const NamedDigests& dense,
                       std::int64_t step) {
  StateDigest state;
  for (const TableDigests& table : tables) {
    state.add(table);
  }
  state.add(dense);
  return state.result(step);
}

}  // namespace keyshard
