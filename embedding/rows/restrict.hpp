// Restricts a table to a number of rows over all ranks: those that its policy puts first
// (rules/policies.hpp). Which rows stay follows from statuses and keys alone, so it is the same on
// any number of ranks. Value, states and status of the others leave together, and index and rows
// give their room back.
#pragma once

#include <cstdint>

#include "collectives/communicator.hpp"
#include "embedding/rows/table.hpp"

namespace keyshard {

/// Rows over all ranks.
struct Restriction {
  std::int64_t before = 0;
  std::int64_t removed = 0;
};

/// Keeps exactly `num_reserved` rows of a table that has more than `trigger` rows, over all ranks;
/// else, or where there are no more than `num_reserved`, does nothing. Between two steps; gradients
/// that wait for the next step find their rows again, and a removed key gets a new row. Throws
/// Error{invalid_argument} on all ranks for a negative number, or a table without a policy. A store
/// that fails may have lost a part of the rows that were to leave.
/// Collective.
template <Backend B>
Restriction restrict_rows(Stream<B>& stream, Communicator<B>& communicator, Table<B>& table,
                          std::int64_t num_reserved, std::int64_t trigger);

}  // namespace keyshard
