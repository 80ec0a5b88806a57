// Notices that the ranks of a job do not meet: a rank that never starts, or is stopped in MPI_Init
// or before the watchdog (collectives/watchdog) lives. A thread of every rank, which uses no MPI,
// ends its process when the ranks have not met in time; mpirun then ends the others. The message
// names what this machine knows: which ranks of the job run here, and which of them is stopped.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

namespace keyshard {

/// A process of this job on this machine.
struct LocalRank {
  int rank = 0;
  pid_t process = 0;
  bool stopped = false;  ///< by a signal or a debugger
};

/// The place of this process in its job, as its launcher says, before MPI is initialised.
struct LaunchedJob {
  int rank = 0;
  int ranks = 1;
  int local_ranks = 1;  ///< of this machine
  std::string name;     ///< the same for all ranks of the job, and no other job's; empty: not known
};

/// Nothing where no launcher has started this process.
std::optional<LaunchedJob> launched_job();

/// The ranks of a job on this machine that this user may see, by rank.
std::vector<LocalRank> local_ranks(const LaunchedJob& job);

/// Why the ranks have not met, as far as the ranks of this machine, `here`, tell.
std::string why_not_met(const LaunchedJob& job, const std::vector<LocalRank>& here,
                        const std::string& host, double seconds);

class StartWatch {
 public:
  /// Starts to watch, where there is more than one rank and `seconds` is above 0.
  explicit StartWatch(double seconds);
  ~StartWatch();
  StartWatch(const StartWatch&) = delete;
  StartWatch& operator=(const StartWatch&) = delete;

  /// The ranks have met: ends the watch.
  void end();

 private:
  void watch(double seconds);
  /// Says why, unless a lower rank of this machine does, and ends the process.
  [[noreturn]] void give_up(double seconds) const;

  LaunchedJob job_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace keyshard
