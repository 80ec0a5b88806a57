// The time that work of a stream takes, for reports alone: no result depends on it. On a CUDA
// device it is the time between two marks in the queue, with the gaps in which the device waits for
// the host.
#pragma once

#include <chrono>

#include "runtime/stream.hpp"

struct CUevent_st;

namespace keyshard {

template <Backend B>
class StreamTimer;

template <>
class StreamTimer<Cpu> {
 public:
  explicit StreamTimer(Stream<Cpu>& /*stream*/) {}

  /// The time starts now.
  void start() { begin_ = std::chrono::steady_clock::now(); }

  /// Seconds since the start.
  double stop() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_;
};

template <>
class StreamTimer<Cuda> {
 public:
  /// Times work of `stream`, which is borrowed. Throws Error{device}.
  explicit StreamTimer(Stream<Cuda>& stream);
  ~StreamTimer();
  StreamTimer(const StreamTimer&) = delete;
  StreamTimer& operator=(const StreamTimer&) = delete;

  /// The time starts when the stream has done what it has been given so far.
  void start();

  /// Waits for what the stream has been given since then; returns the seconds that passed on the
  /// device until its end. Throws as Stream<Cuda>::wait does.
  double stop();

 private:
  Stream<Cuda>& stream_;
  CUevent_st* begin_ = nullptr;
  CUevent_st* end_ = nullptr;
};

}  // namespace keyshard
