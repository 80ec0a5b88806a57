#include "launch/training/schedule.hpp"

#include <algorithm>

namespace keyshard {

bool Schedule::observe(double metric, std::int64_t step) {
  const bool better = higher_is_better(job_.metric) ? metric > state_.best : metric < state_.best;
  if (metric == metric && (!state_.any || better)) {
    state_.any = true;
    state_.best = metric;
    state_.best_step = step;
    state_.worse = 0;
    state_.since_decay = 0;
    return true;
  }
  ++state_.worse;
  ++state_.since_decay;
  if (job_.decay < 1 && state_.since_decay >= job_.decay_patience &&
      state_.scale > job_.least_decay) {
    state_.scale = std::max(state_.scale * job_.decay, job_.least_decay);
    state_.since_decay = 0;
  }
  return false;
}

}  // namespace keyshard
