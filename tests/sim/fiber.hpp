// Stacks that a thread switches between by itself. Sanitizers are told of every switch.
#pragma once

#include <cstddef>

namespace keyshard::sim {

struct Fiber {
  void* stack_pointer = nullptr;
  const void* stack =
      nullptr;  ///< its lowest address; of the thread itself once a fiber has arrived
  std::size_t stack_bytes = 0;
  void* tsan = nullptr;
  void* asan = nullptr;
};

inline constexpr std::size_t kStackBytes = std::size_t{128} << 10;

/// Makes `fiber` ready to run entry() from its start, on a stack that it keeps. `entry` does not
/// return.
void prepare(Fiber& fiber, void (*entry)());

/// The calling thread, to be switched away from.
Fiber fiber_of_thread();

/// Gives the stack back.
void destroy(Fiber& fiber);

/// Goes on with `to`; returns when something switches back to `from`, or never where `from` has
/// ended.
void switch_to(Fiber& from, Fiber& to, bool from_ended);

/// The first thing that entry() does, where `host` is what switched to it.
void arrive(Fiber& host);

// Order of memory between fibers, for ThreadSanitizer alone: what was done before `release` is seen
// after `acquire`.
void release(void* place);
void acquire(void* place);

}  // namespace keyshard::sim
