// Notices a rank that is stuck, which MPI does not: a stopped process, a read that never returns, a
// lost network. On every rank the watchdog's own thread sends beats to all other ranks and judges
// the beats that it hears (stuck_detector.hpp). A beat says what the rank's Progress says
// (runtime/progress.hpp).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "collectives/communicator.hpp"
#include "collectives/stuck_detector.hpp"

namespace keyshard {

struct WatchdogOptions {
  StuckLimits limits;
  int beat_ms = 250;
};

class Watchdog {
 public:
  /// `beats`: a duplicate of the job's communicator, used by nothing else. `progress`: of the
  /// communicator that the job uses; must outlive the watchdog. `on_stuck` is called at most once,
  /// by the watchdog's thread, and ends the job; it must not throw. The first rank that lives and
  /// is not stuck calls it at once, the others 2 s later where the job still runs. Throws
  /// Error{invalid_argument} where a limit or the beat is not above 0.
  Watchdog(std::unique_ptr<Communicator<Cpu>> beats, const Progress& progress,
           WatchdogOptions options, std::function<void(const std::string& message)> on_stuck);

  /// Stops watching. Not collective, so that a rank that fails can leave; after a normal end call
  /// end() first.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Waits for all ranks, stops watching and takes all beats under way, so that the communicator
  /// can be destroyed. Collective.
  void end();

 private:
  void stop();
  void watch();
  /// Returns whether on_stuck has been called.
  bool beat_and_judge(StuckDetector& detector, double now);
  /// The first rank that lives and is not the stuck one.
  int speaker(const StuckDetector& detector, int stuck, double now) const;
  bool take_beat(int rank, Beat& beat);

  std::unique_ptr<Communicator<Cpu>> beats_;
  const Progress& progress_;
  WatchdogOptions options_;
  std::function<void(const std::string& message)> on_stuck_;
  std::vector<std::int64_t> sent_;   ///< beats to each rank
  std::vector<std::int64_t> taken_;  ///< beats of each rank
  std::optional<double> found_;      ///< since when there is a stuck rank
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace keyshard
