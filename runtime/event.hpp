// A point in the work of one stream that another stream, or the host, can wait for.
#pragma once

#include "runtime/stream.hpp"

struct CUevent_st;

namespace keyshard {

template <Backend B>
class Event;

/// On a CPU the work before a point is done when the point is recorded.
template <>
class Event<Cpu> {
 public:
  /// Marks what `stream` has been given so far.
  void record(Stream<Cpu>& /*stream*/) {}

  /// Lets later work of `stream` begin after the mark.
  void hold(Stream<Cpu>& /*stream*/) const {}

  /// Returns when the work before the mark is done.
  void wait() const {}
};

template <>
class Event<Cuda> {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(Stream<Cuda>& stream);
  void hold(Stream<Cuda>& stream) const;
  /// Throws as Stream<Cuda>::wait does.
  void wait() const;

 private:
  PeerWaits peer_waits_;  ///< of the work before the mark
  CUevent_st* handle_ = nullptr;
};

}  // namespace keyshard
