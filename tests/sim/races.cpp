#include "tests/sim/races.hpp"

#ifdef KEYSHARD_SIM_TSAN

namespace {

int found = 0;

}  // namespace

/// ThreadSanitizer calls this with each report.
extern "C" void __tsan_on_report(void* /*report*/) { ++found; }

int keyshard::sim::races() { return found; }

#else

int keyshard::sim::races() { return 0; }

#endif
