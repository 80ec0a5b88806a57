#include "collectives/stuck_detector.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace keyshard {

double StuckLimits::of(Phase phase) const noexcept {
  switch (phase) {
    case Phase::indexing:
    case Phase::unpacking:
    case Phase::reading:
    case Phase::syncing:
    case Phase::loading:
      return std::max(seconds, slow_seconds);
    default:
      return seconds;
  }
}

StuckDetector::StuckDetector(int ranks, StuckLimits limits)
    : limits_(limits), states_(static_cast<std::size_t>(ranks)) {}

void StuckDetector::hear(int rank, const Beat& beat, double now) {
  State& state = states_[static_cast<std::size_t>(rank)];
  if (beat.counter != state.beat.counter) {
    state.advanced = now;
  }
  state.heard = now;
  state.beat = beat;
}

bool StuckDetector::is_heard(int rank, double now) const {
  return now - states_[static_cast<std::size_t>(rank)].heard < limits_.seconds;
}

std::optional<StuckRank> StuckDetector::find(double now) const {
  for (std::size_t rank = 0; rank < states_.size(); ++rank) {
    if (!is_heard(static_cast<int>(rank), now)) {
      return blame(rank, limits_.seconds, "its process gives no sign of life");
    }
  }
  bool all_wait = true;
  std::size_t fewest = 0;
  for (std::size_t rank = 0; rank < states_.size(); ++rank) {
    const Beat& beat = states_[rank].beat;
    const double stands = now - states_[rank].advanced;
    if (beat.waiting == 0 && stands >= limits_.of(beat.phase)) {
      return blame(rank, limits_.of(beat.phase), "no progress");
    }
    all_wait = all_wait && beat.waiting != 0 && stands >= limits_.seconds;
    fewest = beat.collectives < states_[fewest].beat.collectives ? rank : fewest;
  }
  if (all_wait) {
    return blame(fewest, limits_.seconds,
                 "all ranks wait for each other, and it has entered the fewest collectives");
  }
  return std::nullopt;
}

StuckRank StuckDetector::blame(std::size_t rank, double limit, const char* why) const {
  return {static_cast<int>(rank), fmt::format("rank {} is stuck in phase {} for {} s ({})", rank,
                                              name_of(states_[rank].beat.phase), limit, why)};
}

}  // namespace keyshard
