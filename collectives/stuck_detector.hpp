// Who holds up a job: judges the beats of all ranks. A rank that waits in a collective is not to
// blame, since another rank makes it wait. To blame is a rank that sends no more beats, or that
// stands still without waiting. The detector has no clock and no messages: the watchdog brings
// both.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/progress.hpp"

namespace keyshard {

/// How long a rank may stand still, in seconds.
struct StuckLimits {
  double seconds = 60;
  /// In phases that wait for a disk or unpack large files: reading, indexing, unpacking, syncing,
  /// loading.
  double slow_seconds = 600;

  /// At least `seconds` in every phase.
  double of(Phase phase) const noexcept;
};

/// What a rank tells of itself. Sent as it lies in memory.
struct Beat {
  Phase phase = Phase::starting;
  std::uint32_t waiting = 0;      ///< 1 within a collective
  std::uint64_t counter = 0;      ///< unchanged while the rank does not advance
  std::uint64_t collectives = 0;  ///< entered so far
};

struct StuckRank {
  int rank = 0;
  std::string message;  ///< "rank 2 is stuck in phase reading for 60 s (why)"
};

class StuckDetector {
 public:
  /// All ranks count as heard, and as having advanced, at time 0.
  StuckDetector(int ranks, StuckLimits limits);

  /// A beat of a rank, heard at time `now` (seconds; times never go back).
  void hear(int rank, const Beat& beat, double now);

  /// The rank that holds up the others at time `now`, if there is one:
  /// (1) a rank whose beats have stopped for limits.seconds: its process is stopped or cut off;
  /// (2) a rank that stands for the limit of its phase, and does not wait for others;
  /// (3) where all ranks wait and stand for limits.seconds, the one that has entered the fewest
  ///     collectives: they wait for different things.
  std::optional<StuckRank> find(double now) const;

  /// Whether a beat of the rank was heard less than limits.seconds ago.
  bool is_heard(int rank, double now) const;

 private:
  struct State {
    Beat beat;
    double heard = 0;
    double advanced = 0;
  };

  StuckRank blame(std::size_t rank, double limit, const char* why) const;

  StuckLimits limits_;
  std::vector<State> states_;
};

}  // namespace keyshard
