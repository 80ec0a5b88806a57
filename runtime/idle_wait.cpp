#include "runtime/idle_wait.hpp"

#include <algorithm>
#include <thread>

namespace keyshard {
namespace {

constexpr int kPauses = 100;
constexpr std::chrono::nanoseconds kLongestSleep = std::chrono::milliseconds(1);

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

std::chrono::nanoseconds IdleWait::waited() {
  const auto now = std::chrono::steady_clock::now();
  if (pauses_ == kPauses) {
    begin_ = now;
    ++pauses_;
  }
  return now - begin_;
}

bool IdleWait::pass_awake() {
  if (pauses_ < kPauses) {
    ++pauses_;
    pause();
    return true;
  }
  if (waited() >= awake_) {
    return false;
  }
  std::this_thread::yield();
  return true;
}

void IdleWait::pass() {
  if (!pass_awake()) {
    std::this_thread::sleep_for(std::min(waited() / 16, kLongestSleep));
  }
}

}  // namespace keyshard
