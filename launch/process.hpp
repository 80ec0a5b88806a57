// What a process does as one rank of a job: it meets the other ranks, checks that all were started
// alike, shows errors and chooses the exit code.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>

#include "collectives/communicator.hpp"
#include "collectives/watchdog.hpp"
#include "launch/commands.hpp"
#include "launch/start_watch.hpp"
#include "launch/training/job_config.hpp"
#include "launch/training/training.hpp"

namespace keyshard {

/// The rank of this process as its launcher says, before MPI is initialised; 0 without one.
int launched_rank();

/// The exit code of an error that ends the process.
int exit_code_of(const std::exception& error);

/// Shows an error as "error: rank R: ..." ("error: ..." with one rank). A rank does not show an
/// error that another rank has caused and shows. Ranks other than 0 wait a moment first: so an
/// error that all ranks meet is shown by rank 0 alone, because the end of rank 0 ends the other
/// ranks.
void show_error(const std::exception& error, int rank, int ranks);

/// Runs body on the ranks of this job. A rank that fails shows its error and ends all ranks. Where
/// the ranks have not met `start_seconds` after their start (0: never), StartWatch ends the job;
/// the body says that they have met, by watch_ranks.
int with_ranks(double start_seconds,
               const std::function<int(Communicator<Cpu>&, StartWatch&)>& body);

/// The same for a body without a watchdog: the ranks have met before it begins. They have the usual
/// time, job.start_seconds where none is given.
int with_ranks(const std::function<int(Communicator<Cpu>&)>& body);

/// job.start_seconds of a command that names no configuration, before its ranks have met: of its
/// --set, or else the usual one.
double start_seconds_of(const JobCommand& command);

/// Reads the configuration of a command, with what its options override.
JobConfig configure(const JobCommand& command);

/// Sets in a configuration what the options of a command override.
void apply_options(const JobCommand& command, JobConfig& config);

/// The device of this rank, as --device and --share-device say; "auto" is a GPU where this machine
/// has one. The ranks of a machine take one GPU each, in order. Collective. Throws
/// Error{invalid_argument} on all ranks where there are fewer GPUs than ranks, and Error{not_built}
/// where the program or a machine has none.
Device choose_device(const DeviceChoice& choice, Communicator<Cpu>& communicator);

/// "2 ranks x 4 threads", or "2 ranks with a GPU each (NAME)", for a message.
std::string place_of(const Device& device, int ranks, int threads);

/// Fails on all ranks where they were started with different configurations or `options` of the
/// command line, naming ranks and the first line that differs.
void check_same_config(Communicator<Cpu>& communicator, const JobConfig& config,
                       const ResolvedSettings& options);

/// Fails on all ranks where two ranks would compute different bits because their processors or
/// libraries differ, naming the numerics of both.
void check_same_numerics(Communicator<Cpu>& communicator);

/// Watches the ranks of a job: a rank that is stuck for `seconds` (ten times as long in a phase
/// that waits for a disk or unpacks files: StuckLimits) ends the job with exit code 70 and a
/// message that names the rank. Null where there is one rank or `seconds` is 0. Then ends `start`,
/// because the ranks have met. Collective.
std::unique_ptr<Watchdog> watch_ranks(Communicator<Cpu>& communicator, double seconds,
                                      StartWatch& start);

/// Threads of this rank: job.threads, or as many as the rank has cores. Warns on rank 0 where an
/// affinity mask leaves the process fewer cores than the machine has.
int threads_of(Communicator<Cpu>& communicator, const JobConfig& config);

}  // namespace keyshard
