// Requests to end this job soon: the signal SIGUSR1 (which mpirun forwards), SIGTERM, or SIGHUP
// (its terminal has gone) to a rank.
#pragma once

namespace keyshard {

/// The calling thread, and all threads that it starts from now on, take these signals no longer: a
/// thread of their own does. To be called before other threads begin. A signal that comes while a
/// thread is in a product of oneDNN 2.6 with AVX-512 would damage memory: its kernels write below
/// the end of their stack, where the system puts what a handler needs.
void take_stop_signals_on_own_thread();

/// From now on these signals no longer end the process; stop_requested tells that one came.
void watch_stop_signals();

/// A write beyond the limit of a file's size fails from now on, as on a full disk, and no longer
/// ends the process.
void write_errors_in_place_of_signals();

/// Whether such a signal has come.
bool stop_requested() noexcept;

}  // namespace keyshard
