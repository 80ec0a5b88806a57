// What every measure of the benchmark has at hand: the ranks, the threads, the sizes that the
// command asks for, the workloads, and where results go.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "collectives/communicator.hpp"
#include "launch/bench/result.hpp"
#include "launch/bench/workload.hpp"
#include "launch/commands.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

/// Returns the seconds that a call takes.
using BenchClock = std::function<double(const std::function<void()>&)>;

/// One competitor of a measure: contenders take turns on the same steps.
struct Contender {
  std::string peer;
  std::function<void(std::int64_t step)> step;
};

class BenchContext {
 public:
  /// All arguments are borrowed.
  BenchContext(const BenchCommand& command, Communicator<Cpu>& communicator, Stream<Cpu>& stream,
               BenchReport& report);

  const BenchCommand& command() const noexcept { return command_; }

  Communicator<Cpu>& communicator() const noexcept { return communicator_; }

  Stream<Cpu>& stream() const noexcept { return stream_; }

  BenchReport& report() const noexcept { return report_; }

  /// Numbers of a row in the measures that follow: 16 or 64.
  std::int64_t dim() const noexcept { return dim_; }

  void set_dim(std::int64_t dim) noexcept { dim_ = dim; }

  /// "keyshard", with `variant` and the number of ranks where there are several.
  std::string own_name(const std::string& variant = "") const;

  /// The steps of a workload ("W1", "W2", "W3" or "P") with the samples of all ranks. Kept for
  /// later measures; `--quick` makes a small workload.
  const IdBatches& whole(const std::string& name);
  /// The same steps with this rank's samples alone.
  const IdBatches& own(const std::string& name);

  /// The first step that a race makes in a workload of `steps` steps, and the first step that it
  /// times.
  std::int64_t first_step(std::int64_t steps) const;
  std::int64_t first_timed_step(std::int64_t steps) const;

  /// Lets contenders take turns, `rounds` times: each makes its warm-up steps and is then timed
  /// step by step on the last steps of `steps`. Ranks meet before every step; times are this
  /// rank's. Collective.
  std::vector<BenchResult> race(const std::string& measure, std::int64_t steps,
                                const std::vector<Contender>& contenders);

  /// Times calls by `clock` from now on, the clock of a device: the cores of the host need not be
  /// quiet.
  void time_by(BenchClock clock) { clock_ = std::move(clock); }

  /// Waits a little for other programs to become idle, but not with `--quick`, nor where calls are
  /// timed by the clock of a device. Returns the share of the machine that they use.
  double wait_quiet();

  /// Seconds that a call takes on this rank, from the moment when all ranks are here, by the clock
  /// of the host or by that of `time_by`. Collective.
  double seconds_of(const std::function<void()>& body);

 private:
  const BenchCommand& command_;
  Communicator<Cpu>& communicator_;
  Stream<Cpu>& stream_;
  BenchReport& report_;
  BenchClock clock_;  // empty: the clock of the host
  std::int64_t dim_ = 16;
  std::map<std::string, IdBatches> whole_;
  std::map<std::string, IdBatches> own_;
};

}  // namespace keyshard
