// Requests to end this job soon: the signal SIGUSR1 (which mpirun forwards), SIGTERM, or SIGHUP
// (its terminal has gone) to a rank.
#pragma once

namespace keyshard {

/// From now on these signals no longer end the process; stop_requested tells that one came.
void watch_stop_signals();

/// A write beyond the limit of a file's size fails from now on, as on a full disk, and no longer
/// ends the process.
void write_errors_in_place_of_signals();

/// Whether such a signal has come.
bool stop_requested() noexcept;

}  // namespace keyshard
