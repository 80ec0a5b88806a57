// Requests to end this job soon: the signal SIGUSR1 (which mpirun forwards) or SIGTERM to a rank.
#pragma once

namespace keyshard {

/// From now on these signals no longer end the process; stop_requested tells that one came.
void watch_stop_signals();

/// Whether such a signal has come.
bool stop_requested() noexcept;

}  // namespace keyshard
