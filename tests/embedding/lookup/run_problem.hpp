// A problem of a lookup as ranks solve it, each with its own part of the batch.
#pragma once

#include "tests/embedding/lookup/lookup_problem.hpp"

namespace keyshard::testing {

/// When the ids of a batch are sent: in its forward; or before it, by a thread, queue and
/// communicator of their own, while the tables change.
enum class Ids { in_forward, ahead };

/// One forward, backward and step on so many ranks with so many threads each.
Outcome run(const Problem& p, int ranks, int threads, Ids ids = Ids::in_forward);

}  // namespace keyshard::testing
