// The wish of the system that this job ends soon: SIGUSR1 (which mpirun forwards) or SIGTERM to a
// rank.
#pragma once

namespace keyshard {

/// From now on these signals are noted and no longer end the process.
void watch_stop_signals();

/// Whether such a signal has come.
bool stop_requested() noexcept;

}  // namespace keyshard
