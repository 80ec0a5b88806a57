// The threads of a rank. A pool runs one parallel region at a time; the calling thread is one of
// its threads. Work is cut into numbered tasks whose results must not depend on which thread takes
// them: that is what keeps the bits of a job independent of the number of threads.
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
  /// Starts `threads - 1` threads (at least 1 in all). Each sets the default rounding mode.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const noexcept { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(thread) once on every thread and waits. Not reentrant; callers of one pool take
  /// turns. Rethrows what the lowest-numbered failing thread threw, after all threads are done.
  void run(const std::function<void(int thread)>& body);

  /// Calls body(begin, end, thread) on a contiguous share of [0, n) for every thread whose share is
  /// not empty.
  void for_shares(std::int64_t n, const std::function<void(std::int64_t, std::int64_t, int)>& body);

  /// Calls body(task, thread) for every task of [0, n); a free thread takes the next one.
  void for_tasks(std::int64_t n, const std::function<void(std::int64_t, int)>& body);

 private:
  void work(int thread);
  void call(int thread) noexcept;
  bool wait_for_start(std::uint64_t seen);

  std::vector<std::thread> workers_;
  std::vector<std::exception_ptr> errors_;
  const std::function<void(int)>* body_ = nullptr;
  std::mutex region_;  // one parallel region at a time
  std::mutex mutex_;
  std::condition_variable start_;
  std::condition_variable done_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<int> running_{0};
  bool stop_ = false;
};

/// Threads of a rank by default: min(affinity mask, cores / ranks of this node), at least 1.
struct ThreadCount {
  int threads = 1;
  int cores = 1;                 ///< cores of the machine
  int affinity = 1;              ///< cores that this process may use
  bool limited_by_mask = false;  ///< the mask is smaller than the share: worth a warning
};

ThreadCount default_threads(int local_ranks);

}  // namespace keyshard
