// The tables of a manifest, of which each rank knows the shards that it has written.
#pragma once

#include <cstdint>

#include "collectives/communicator.hpp"
#include "io/manifest.hpp"

namespace keyshard {

/// Joins what the ranks know of the same tables, each of its own shards, in two messages for all
/// tables: afterwards every rank knows all of them. `shards` is the number of shards of a table.
/// Collective.
void gather_tables(Manifest& manifest, std::int64_t shards, Communicator<Cpu>& communicator);

}  // namespace keyshard
