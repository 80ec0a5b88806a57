// A queue of the calling thread: work given to it is done when the call returns, in the order of
// its indices. A task of a ThreadPool uses it in place of a Stream, so that the code of the task is
// the same on a CPU and on a device, where the queue is a Stream.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include "runtime/stream.hpp"
#include "runtime/team.hpp"

namespace keyshard {

struct Serial {};

/// functor(i) for i in [0, n).
template <class F>
void for_each(Serial&, std::int64_t n, const F& functor) {
  for (std::int64_t i = 0; i < n; ++i) {
    functor(i);
  }
}

/// functor(i, Solo) for i in [0, n).
template <class F>
void for_each_row(Serial&, std::int64_t n, const F& functor) {
  for (std::int64_t i = 0; i < n; ++i) {
    functor(i, Solo{});
  }
}

/// The queue of a task on a device: the thread of the task on a CPU, else the stream.
template <Backend B>
using TaskQueue = std::conditional_t<std::same_as<B, Cpu>, Serial, Stream<B>>;

}  // namespace keyshard
