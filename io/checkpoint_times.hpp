// Where the time of a save or a load goes, in nanoseconds. The threads of a rank work on different
// parts at once, so parts overlap: a part is the sum of the times of all threads in it, and only
// `total` is elapsed time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace keyshard {

struct CheckpointTimes {
  std::int64_t copy = 0;    ///< between table and batch; in a save with the sort by key
  std::int64_t digest = 0;  ///< of columns
  std::int64_t write = 0;   ///< through HDF5
  std::int64_t read = 0;    ///< of rows; in a save, to read back
  std::int64_t verify = 0;  ///< of files by their digests
  std::int64_t sync = 0;    ///< until the bytes are on the disk
  std::int64_t total = 0;
  std::int64_t bytes = 0;  ///< of the files that this rank wrote, or verified
};

/// Adds the time of a scope to a part, from any thread.
class TimedPart {
 public:
  explicit TimedPart(std::int64_t& part) : part_(part) {}

  ~TimedPart() {
    const std::chrono::nanoseconds passed = std::chrono::steady_clock::now() - start_;
    std::atomic_ref<std::int64_t>(part_).fetch_add(passed.count(), std::memory_order_relaxed);
  }

  TimedPart(const TimedPart&) = delete;
  TimedPart& operator=(const TimedPart&) = delete;

 private:
  std::int64_t& part_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace keyshard
