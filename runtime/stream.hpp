// An ordered queue of work on one device, with the memory that its buffers come from. On a CPU work
// is done when a call returns, and the stream holds the threads that do it.
#pragma once

#include <memory>

#include "runtime/backend.hpp"
#include "runtime/memory_pool.hpp"
#include "runtime/thread_pool.hpp"

namespace keyshard {

template <Backend B>
class Stream;

template <>
class Stream<Cpu> {
 public:
  /// Runs work on `threads` threads. One owner; one thread of control at a time.
  explicit Stream(int threads = 1)
      : threads_(std::make_unique<ThreadPool>(threads)), memory_(std::make_shared<MemoryPool>()) {}

  ThreadPool& threads() noexcept { return *threads_; }

  /// Shared with every buffer made on this stream, so that buffers may outlive it.
  const std::shared_ptr<MemoryPool>& memory() noexcept { return memory_; }

  /// Returns when all work of this stream is done.
  void wait() {}

 private:
  std::unique_ptr<ThreadPool> threads_;
  std::shared_ptr<MemoryPool> memory_;
};

}  // namespace keyshard
