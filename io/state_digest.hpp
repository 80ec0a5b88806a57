// The name of a state of training: one digest over all rows with their optimizer state and
// everything dense. It does not depend on ranks, slices, paths or the order in which rows came, and
// can be had from memory or from a checkpoint alike.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runtime/digest.hpp"

namespace keyshard {

/// The digests of a table: of each shard, of each column of its rows sorted by key; the keys are
/// the first column.
struct TableDigests {
  std::string name;
  std::vector<std::string> columns;  ///< "keys", then as the table has them
  std::vector<Digest128> digests;    ///< [shards x columns]
};

/// Dense parts by name, in a fixed order.
using NamedDigests = std::vector<std::pair<std::string, Digest128>>;

Digest128 state_digest(const std::vector<TableDigests>& tables, const NamedDigests& dense,
                       std::int64_t step);

}  // namespace keyshard
