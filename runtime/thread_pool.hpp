// The threads of a rank. A pool runs one parallel region at a time: a region is cut into numbered
// shares, and whichever thread is free claims the next one. The calling thread claims shares too
// and waits only for those that others have begun, so that a thread which sleeps or is kept from
// its core delays nobody. Results must not depend on which thread takes a share: that is what
// keeps the bits of a job independent of the number of threads. A thread that has waited for 50
// microseconds sleeps until the next region.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace keyshard {

class ThreadPool {
 public:
  /// Starts `threads - 1` threads beside the calling one; fewer than 1 counts as 1. Each of them,
  /// the calling one included, is set to round to nearest and to keep denormals. The started ones
  /// call `begin` first, if there is one; it must not throw.
  explicit ThreadPool(int threads, std::function<void()> begin = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const noexcept { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(share) once for every share of [0, size()), at the same time as far as threads are
  /// free, and waits. Not reentrant; callers of one pool take turns. Rethrows what the
  /// lowest-numbered failing share threw, after all shares are done.
  void run(const std::function<void(int share)>& body) { run_shares(size(), body); }

  /// Cuts [0, n) into at most size() contiguous shares of at least `grain` indices (or one share of
  /// all) and calls body(begin, end, share) for each that is not empty. One share runs on the
  /// calling thread.
  void for_shares(std::int64_t n, const std::function<void(std::int64_t, std::int64_t, int)>& body,
                  std::int64_t grain = 1);

  /// Calls body(task, share) for every task of [0, n); a share whose thread is free takes the next
  /// task. At most `most_shares` shares work at a time.
  void for_tasks(std::int64_t n, const std::function<void(std::int64_t, int)>& body,
                 int most_shares = 1 << 10);

  /// Regions so far, those on the calling thread alone included.
  std::int64_t regions() const noexcept { return regions_; }

 private:
  void run_shares(int shares, const std::function<void(int)>& body);
  void work(const std::function<void()>& begin);
  bool claim(std::uint64_t generation, int& share);
  void take_shares(std::uint64_t generation);
  bool wait_for_region(std::uint64_t seen);

  std::vector<std::thread> workers_;
  std::vector<std::exception_ptr> errors_;  // of each share
  const std::function<void(int)>* body_ = nullptr;
  int shares_ = 0;
  std::int64_t regions_ = 0;
  std::mutex region_;  // one parallel region at a time
  std::mutex mutex_;
  std::condition_variable start_;
  std::condition_variable done_;
  std::atomic<std::uint64_t> next_{
      0};                     // generation of the region, and the share to be claimed next
  std::atomic<int> left_{0};  // shares that are not done
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
};

/// Threads of a rank by default: min(affinity mask, cores / ranks of this node, cores that the
/// control group allows / ranks of this node), at least 1.
struct ThreadCount {
  int threads = 1;
  int cores = 1;                 ///< cores of the machine
  int affinity = 1;              ///< cores that this process may use
  bool limited_by_mask = false;  ///< the mask is smaller than the share: worth a warning
  double quota = 0;              ///< cores that the control group allows; 0: no limit
  bool limited_by_quota = false;
};

/// `quota` as cpu_quota (cpu_quota.hpp) returns it.
ThreadCount default_threads(int local_ranks, double quota);
ThreadCount default_threads(int local_ranks);

}  // namespace keyshard
