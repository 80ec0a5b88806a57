// A problem of a lookup as ranks solve it, each with its own part of the batch.
#pragma once

#include "tests/embedding/lookup/lookup_problem.hpp"

namespace keyshard::testing {

/// One forward, backward and step on so many ranks with so many threads each.
Outcome run(const Problem& p, int ranks, int threads);

}  // namespace keyshard::testing
