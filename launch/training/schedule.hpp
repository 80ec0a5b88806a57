// What follows from the metric of an evaluation: whether it is the best so far, whether the
// learning rates are cut, and whether training stops.
#pragma once

#include <cstdint>

#include "launch/training/job_options.hpp"

namespace keyshard {

struct ScheduleState {
  bool any = false;  ///< there was an evaluation
  double best = 0;
  std::int64_t best_step = 0;
  std::int64_t worse = 0;        ///< evaluations in a row that were not better
  std::int64_t since_decay = 0;  ///< the same, since the last cut of the learning rates
  double scale = 1;              ///< of all learning rates, by the cuts of job.decay
};

class Schedule {
 public:
  explicit Schedule(const JobOptions& job) : job_(job) {}

  /// Takes the metric of an evaluation at a step; true if it is the best so far. A NaN is never
  /// better.
  bool observe(double metric, std::int64_t step);

  /// Whether training ends: `patience` evaluations in a row were not better.
  bool stopped() const noexcept { return job_.patience > 0 && state_.worse >= job_.patience; }

  /// The factor of all learning rates in a step, the first of which is number 0.
  double scale(std::int64_t step, std::int64_t job_steps) const {
    return state_.scale * job_.schedule.scale(step, job_steps);
  }

  ScheduleState& state() noexcept { return state_; }

  const ScheduleState& state() const noexcept { return state_; }

 private:
  JobOptions job_;
  ScheduleState state_;
};

}  // namespace keyshard
