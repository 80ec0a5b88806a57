#include "runtime/thread_pool.hpp"

#include <algorithm>

#include <sched.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace keyshard {
namespace {

constexpr int kSpins = 2000;  // about 20 us: a region usually follows the last one closely

void set_rounding_mode() {
#if defined(__x86_64__)
  _mm_setcsr(0x1f80);  // round to nearest, denormals kept, exceptions masked
#endif
}

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  threads = std::max(threads, 1);
  errors_.resize(static_cast<std::size_t>(threads));
  set_rounding_mode();
  workers_.reserve(static_cast<std::size_t>(threads - 1));
  for (int thread = 1; thread < threads; ++thread) {
    workers_.emplace_back([this, thread] { work(thread); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1, std::memory_order_release);
  }
  start_.notify_all();
  for (std::thread& worker : workers_) {
    worker.join();
  }
}

void ThreadPool::call(int thread) noexcept {
  try {
    (*body_)(thread);
  } catch (...) {
    errors_[static_cast<std::size_t>(thread)] = std::current_exception();
  }
}

bool ThreadPool::wait_for_start(std::uint64_t seen) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (generation_.load(std::memory_order_acquire) != seen) {
      break;
    }
    pause();
  }
  std::unique_lock lock(mutex_);
  start_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
  return !stop_;
}

void ThreadPool::work(int thread) {
  set_rounding_mode();
  std::uint64_t seen = 0;
  while (wait_for_start(seen)) {
    ++seen;
    call(thread);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      const std::lock_guard lock(mutex_);
      done_.notify_one();
    }
  }
}

void ThreadPool::run(const std::function<void(int)>& body) {
  const std::lock_guard region(region_);
  body_ = &body;
  std::fill(errors_.begin(), errors_.end(), nullptr);
  if (!workers_.empty()) {
    {
      const std::lock_guard lock(mutex_);
      running_.store(static_cast<int>(workers_.size()), std::memory_order_release);
      generation_.fetch_add(1, std::memory_order_release);
    }
    start_.notify_all();
  }
  call(0);
  for (int spin = 0; spin < kSpins && running_.load(std::memory_order_acquire) != 0; ++spin) {
    pause();
  }
  {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return running_.load(std::memory_order_acquire) == 0; });
  }
  for (const std::exception_ptr& error : errors_) {
    if (error) {
      std::rethrow_exception(error);
    }
  }
}

void ThreadPool::for_shares(std::int64_t n,
                            const std::function<void(std::int64_t, std::int64_t, int)>& body) {
  if (n <= 0) {
    return;
  }
  const std::int64_t threads = size();
  run([&](int thread) {
    const std::int64_t begin = n * thread / threads;
    const std::int64_t end = n * (thread + 1) / threads;
    if (begin < end) {
      body(begin, end, thread);
    }
  });
}

void ThreadPool::for_tasks(std::int64_t n, const std::function<void(std::int64_t, int)>& body) {
  std::atomic<std::int64_t> next{0};
  run([&](int thread) {
    for (std::int64_t task = next.fetch_add(1, std::memory_order_relaxed); task < n;
         task = next.fetch_add(1, std::memory_order_relaxed)) {
      body(task, thread);
    }
  });
}

ThreadCount default_threads(int local_ranks) {
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
  return count;
}

}  // namespace keyshard
