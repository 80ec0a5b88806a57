// Counts the calls of operator new in an executable that links this.
#pragma once

#include <cstdint>

namespace keyshard::testing {

/// Calls of operator new so far, of all threads.
std::int64_t allocations();

}  // namespace keyshard::testing
