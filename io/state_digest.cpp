#include "io/state_digest.hpp"

namespace keyshard {

void StateDigest::add(const TableDigests& table) {
  digest_.add(table.name);
  for (const std::string& column : table.columns) {
    digest_.add(column);
  }
  digest_.add(Span<const Digest128>(table.digests));
}

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
