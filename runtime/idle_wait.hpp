// One wait for something that another thread or process does soon: awake at first, because that is
// quicker than to be woken, and then without use of a core.
#pragma once

#include <chrono>

namespace keyshard {

class IdleWait {
 public:
  /// Begins a wait that stays awake for `awake`.
  explicit IdleWait(std::chrono::microseconds awake) : awake_(awake) {}

  /// Passes a moment between two questions: about a microsecond of pauses in all, then the core is
  /// offered to whoever has work. False, at once, where the wait has been awake for its time.
  bool pass_awake();

  /// The same, and then sleeps: a 16th of the time waited, at most a millisecond.
  void pass();

 private:
  std::chrono::nanoseconds waited();

  std::chrono::microseconds awake_;
  int pauses_ = 0;
  std::chrono::steady_clock::time_point begin_;  // of what follows the pauses
};

}  // namespace keyshard
