// Where the time of a save or a load goes. Parts overlap on the threads of a rank: each counts the
// seconds that threads spent in it, and `total` what went by on the clock.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace keyshard {

struct CheckpointTimes {
  double copy = 0;    ///< between table and batch: on a save with the sort by key
  double digest = 0;  ///< of columns
  double write = 0;   ///< through HDF5
  double read = 0;    ///< through HDF5: on a save the read back
  double verify = 0;  ///< reading files for their digests
  double sync = 0;    ///< until the bytes are on the disk
  double total = 0;
  std::int64_t bytes = 0;  ///< of the files that this rank wrote, or verified
};

/// Adds the time of a scope to a part, from any thread.
class TimedPart {
 public:
  explicit TimedPart(double& part) : part_(part) {}

  ~TimedPart() {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start_;
    std::atomic_ref<double>(part_).fetch_add(passed.count(), std::memory_order_relaxed);
  }

  TimedPart(const TimedPart&) = delete;
  TimedPart& operator=(const TimedPart&) = delete;

 private:
  double& part_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace keyshard
