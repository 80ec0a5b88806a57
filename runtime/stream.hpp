// An ordered queue of work on one device, with the memory that its buffers come from. On a CPU work
// is done when a call returns, and the stream holds the threads that do it.
#pragma once

#include <cstdint>
#include <memory>

#include "runtime/backend.hpp"
#include "runtime/memory_pool.hpp"
#include "runtime/thread_pool.hpp"

namespace keyshard {

template <Backend B>
class Stream;

/// Work that is worth another thread, in nanoseconds. Measured: a region costs 1 to 3 us to open
/// where threads are awake.
inline constexpr std::int64_t kShareWork = 8000;

template <>
class Stream<Cpu> {
 public:
  /// Runs work on `threads` threads; a launch takes one thread for every `share_work` nanoseconds
  /// of its work, or all threads where `share_work` is 0. Only one thread at a time may use a
  /// stream.
  explicit Stream(int threads = 1, std::int64_t share_work = kShareWork)
      : threads_(std::make_unique<ThreadPool>(threads)),
        memory_(std::make_shared<MemoryPool<Cpu>>()),
        share_work_(share_work) {}

  std::int64_t share_work() const noexcept { return share_work_; }

  ThreadPool& threads() noexcept { return *threads_; }

  /// Shared with every buffer made on this stream, so that buffers may outlive it.
  const std::shared_ptr<MemoryPool<Cpu>>& memory() noexcept { return memory_; }

  /// Returns when all work of this stream is done.
  void wait() {}

  /// Launches so far: parallel regions, those on the calling thread alone included.
  std::int64_t launches() const noexcept { return threads_->regions(); }

 private:
  std::unique_ptr<ThreadPool> threads_;
  std::shared_ptr<MemoryPool<Cpu>> memory_;
  std::int64_t share_work_;
};

/// The same on one CUDA device. Only declared, for the bodies that both devices share: a program
/// that calls a member does not link in this version.
template <>
class Stream<Cuda> {
 public:
  explicit Stream(int device);
  ~Stream();

  const std::shared_ptr<MemoryPool<Cuda>>& memory() noexcept;
  void wait();
  std::int64_t launches() const noexcept;
};

/// The queue of the host beside a device, for work on host memory: the stream itself on a CPU.
inline Stream<Cpu>& host_of(Stream<Cpu>& stream) noexcept { return stream; }

Stream<Cpu>& host_of(Stream<Cuda>& stream) noexcept;

}  // namespace keyshard
