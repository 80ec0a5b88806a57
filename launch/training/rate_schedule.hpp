// How learning rates follow the step: job.schedule of a configuration. A pure function of the
// number of the step, computed without libm, so a resumed job goes on with the same bits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/settings.hpp"

namespace keyshard {

enum class RateCurve { constant, step, exponential, cosine };

/// The names in files, in the order of the enumeration.
const std::vector<std::string>& names_of(RateCurve);

/// A factor of all learning rates. In the first `warmup_steps` steps w it rises in equal parts,
/// from 1 / w to 1; then, t steps later:
///   constant     1
///   step         factor^floor(t / every_steps)
///   exponential  factor^(t / every_steps)            tf.keras ExponentialDecay
///   cosine       least + (1 - least) (1 + cos(pi t / T)) / 2, and `least` from T on, where T =
///                steps - warmup_steps                 Loshchilov and Hutter 2017, without restarts
/// and after the warm-up never below `least`.
struct RateSchedule {
  RateCurve curve = RateCurve::constant;
  std::int64_t warmup_steps = 0;
  double factor = 0.1;
  std::int64_t every_steps = 1000;
  std::int64_t steps = 0;  ///< of the cosine, with the warm-up; 0: the steps of the job
  double least = 0;

  /// The factor of a step, the first of which is number 0, in a job of so many steps.
  double scale(std::int64_t step, std::int64_t job_steps) const;
};

/// Reads the table: a name, or { type = NAME, ... }.
RateSchedule read_rate_schedule(Settings settings);

}  // namespace keyshard
