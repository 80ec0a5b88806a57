#include "io/state_digest.hpp"

namespace keyshard {

Digest128 state_digest(const std::vector<TableDigests>& tables, const NamedDigests& dense,
                       std::int64_t step) {
  Digest digest;
  for (const TableDigests& table : tables) {
    digest.add(table.name);
    for (const std::string& column : table.columns) {
      digest.add(column);
    }
    for (const Digest128& part : table.digests) {
      digest.add(part);
    }
  }
  for (const auto& [name, part] : dense) {
    digest.add(name).add(part);
  }
  return digest.add(static_cast<std::uint64_t>(step)).result();
}

}  // namespace keyshard
