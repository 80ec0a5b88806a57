// An ordered queue of work on one device, with the memory that its buffers come from. On a CPU work
// is done when a call returns, and the stream holds the threads that do it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "runtime/backend.hpp"
#include "runtime/memory_pool.hpp"
#include "runtime/peer_waits.hpp"
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
  /// of its work, or all threads where `share_work` is 0. Threads call `begin` first (ThreadPool).
  /// Only one thread at a time may use a stream.
  explicit Stream(int threads = 1, std::int64_t share_work = kShareWork,
                  std::function<void()> begin = {})
      : threads_(std::make_unique<ThreadPool>(threads, std::move(begin))),
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

/// A queue of one CUDA device, and the threads of the host beside it. Work is done some time after
/// the call that gives it. Only one thread at a time may use a stream, but for the host's.
template <>
class Stream<Cuda> {
 public:
  /// Throws Error{device} where the process has no such device.
  explicit Stream(int device, int threads = 1);

  int device() const noexcept { return device_; }

  const std::shared_ptr<MemoryPool<Cuda>>& memory() noexcept { return memory_; }

  /// Returns when all work of this stream is done. Throws Error{device} where some of it failed,
  /// and what the check of a peer throws (peer_waits.hpp).
  void wait();

  /// Peers that work of this stream waits for, until the host has waited for that work. A
  /// communicator adds itself here, an event those of the stream that it was recorded on.
  PeerWaits& peer_waits() noexcept { return peer_waits_; }

  /// Kernels launched so far.
  std::int64_t launches() const noexcept { return launches_; }

  /// The queue as the CUDA runtime knows it: a cudaStream_t.
  CUstream_st* handle() const noexcept { return memory_->queue(); }

  /// Makes the stream's device that of the calling thread, for a launch, which is counted.
  void begin_launch();

  Stream<Cpu>& host() noexcept { return host_; }

  /// What the home of a library keeps with the queue, such as a handle of cuBLAS; null at first.
  std::shared_ptr<void>& attachment() noexcept { return attachment_; }

 private:
  int device_;
  std::shared_ptr<MemoryPool<Cuda>> memory_;
  std::shared_ptr<void> attachment_;
  Stream<Cpu> host_;
  PeerWaits peer_waits_;
  std::int64_t launches_ = 0;
};

/// A queue for one call that is given none, on the device of the calling thread. Waits first for
/// all work that the device has been given, so that such a call finds what is done, as on a CPU.
/// Throws Error{device}.
Stream<Cuda> stream_of_call();

/// The queue of the host beside a device, for work on host memory: the stream itself on a CPU.
inline Stream<Cpu>& host_of(Stream<Cpu>& stream) noexcept { return stream; }

inline Stream<Cpu>& host_of(Stream<Cuda>& stream) noexcept { return stream.host(); }

}  // namespace keyshard
