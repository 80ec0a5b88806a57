#include "runtime/thread_pool.hpp"

#include <algorithm>
#include <chrono>

#include <sched.h>
#include <unistd.h>

#include "runtime/cpu_quota.hpp"
#include "runtime/idle_wait.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace keyshard {
namespace {

// A region usually follows the last one closely, so a thread stays awake for a while.
constexpr std::chrono::microseconds kAwake{50};

// A region and its shares are one word: a thread that comes late finds another generation there.
constexpr int kShareBits = 16;
constexpr std::uint64_t kShareMask = (std::uint64_t{1} << kShareBits) - 1;

void set_rounding_mode() {
#if defined(__x86_64__)
  _mm_setcsr(0x1f80);  // round to nearest, denormals kept, exceptions masked
#endif
}

/// Waits for a condition without sleeping; false where that took too long.
template <class Condition>
bool stays_awake_for(const Condition& condition) {
  IdleWait wait(kAwake);
  do {
    if (condition()) {
      return true;
    }
  } while (wait.pass_awake());
  return condition();
}

}  // namespace

ThreadPool::ThreadPool(int threads, std::function<void()> begin) {
  threads = std::clamp(threads, 1, static_cast<int>(kShareMask));
  errors_.resize(static_cast<std::size_t>(threads));
  set_rounding_mode();
  workers_.reserve(static_cast<std::size_t>(threads - 1));
  for (int worker = 1; worker < threads; ++worker) {
    workers_.emplace_back([this, begin] { work(begin); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& worker : workers_) {
    worker.join();
  }
}

/// Takes the next share of a region; false where it has none left, or is over.
bool ThreadPool::claim(std::uint64_t generation, int& share) {
  std::uint64_t next = next_.load(std::memory_order_acquire);
  while (next >> kShareBits == generation && static_cast<int>(next & kShareMask) > 0) {
    if (next_.compare_exchange_weak(next, next - 1, std::memory_order_acq_rel)) {
      share = shares_ - static_cast<int>(next & kShareMask);
      return true;
    }
  }
  return false;
}

void ThreadPool::take_shares(std::uint64_t generation) {
  int share = 0;
  while (claim(generation, share)) {
    try {
      (*body_)(share);
    } catch (...) {
      errors_[static_cast<std::size_t>(share)] = std::current_exception();
    }
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      const std::lock_guard lock(mutex_);
      done_.notify_one();
    }
  }
}

/// Waits for a region after that of `seen`, awake at first; false where the pool ends.
bool ThreadPool::wait_for_region(std::uint64_t seen) {
  const auto due = [&] { return next_.load() >> kShareBits != seen || stop_; };
  if (stays_awake_for(due)) {
    return !stop_;
  }
  std::unique_lock lock(mutex_);
  ++sleepers_;
  start_.wait(lock, due);
  --sleepers_;
  return !stop_;
}

void ThreadPool::work(const std::function<void()>& begin) {
  set_rounding_mode();
  if (begin) {
    begin();
  }
  std::uint64_t seen = 0;
  while (wait_for_region(seen)) {
    seen = next_.load() >> kShareBits;
    take_shares(seen);
  }
}

void ThreadPool::run_shares(int shares, const std::function<void(int)>& body) {
  const std::lock_guard region(region_);
  ++regions_;
  if (shares == 1) {
    body(0);
    return;
  }
  std::fill(errors_.begin(), errors_.end(), nullptr);
  body_ = &body;
  shares_ = shares;
  left_.store(shares);
  const std::uint64_t generation = (next_.load() >> kShareBits) + 1;
  next_.store(generation << kShareBits | static_cast<std::uint64_t>(shares));
  if (sleepers_.load() > 0) {
    { const std::lock_guard lock(mutex_); }
    start_.notify_all();
  }
  take_shares(generation);
  const auto done = [&] { return left_.load(std::memory_order_acquire) == 0; };
  stays_awake_for(done);
  {
    std::unique_lock lock(mutex_);
    done_.wait(lock, done);
  }
  for (const std::exception_ptr& error : errors_) {
    if (error) {
      std::rethrow_exception(error);
    }
  }
}

void ThreadPool::for_shares(std::int64_t n,
                            const std::function<void(std::int64_t, std::int64_t, int)>& body,
                            std::int64_t grain) {
  if (n <= 0) {
    return;
  }
  const std::int64_t shares =
      std::clamp<std::int64_t>(n / std::max<std::int64_t>(grain, 1), 1, size());
  run_shares(static_cast<int>(shares), [&](int share) {
    const std::int64_t begin = n * share / shares, end = n * (share + 1) / shares;
    if (begin < end) {
      body(begin, end, share);
    }
  });
}

void ThreadPool::for_tasks(std::int64_t n, const std::function<void(std::int64_t, int)>& body,
                           int most_shares) {
  if (n <= 0) {
    return;
  }
  std::atomic<std::int64_t> next{0};
  run_shares(static_cast<int>(std::min<std::int64_t>(n, std::min(most_shares, size()))),
             [&](int share) {
               for (std::int64_t task = next.fetch_add(1, std::memory_order_relaxed); task < n;
                    task = next.fetch_add(1, std::memory_order_relaxed)) {
                 body(task, share);
               }
             });
}

ThreadCount default_threads(int local_ranks) { return default_threads(local_ranks, cpu_quota()); }

ThreadCount default_threads(int local_ranks, double quota) {
  ThreadCount count;
  count.cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  cpu_set_t mask;
  CPU_ZERO(&mask);
  count.affinity = sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : count.cores;
  // hardware_concurrency of glibc honours the mask: ask the system for what the machine has.
  count.cores = std::max(count.cores, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
  const int share = std::max(1, count.cores / std::max(1, local_ranks));
  count.threads = std::max(1, std::min(count.affinity, share));
  count.limited_by_mask = count.affinity < share;
  count.quota = quota;
  const auto allowed = std::max(1.0, quota / std::max(1, local_ranks));
  if (quota > 0 && allowed < count.threads) {
    count.threads = static_cast<int>(allowed);
    count.limited_by_quota = true;
  }
  return count;
}

}  // namespace keyshard
