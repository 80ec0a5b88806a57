// What a rank is doing, for its watchdog: a phase and a counter that moves while it works. Written
// by the rank's main thread with relaxed atomics; a beat of another thread reads it.
#pragma once

#include <atomic>
#include <cstdint>

namespace keyshard {

/// Parts of a job that can get stuck, and that have a time limit each.
enum class Phase : std::uint32_t {
  starting,
  indexing,
  unpacking,
  reading,
  exchanging,
  computing,
  evaluating,
  saving,
  syncing,
  loading,
  ending
};

const char* name_of(Phase phase);

class Progress {
 public:
  void enter(Phase phase) noexcept {
    phase_.store(phase, std::memory_order_relaxed);
    advance();
  }

  void advance() noexcept { counter_.fetch_add(1, std::memory_order_relaxed); }

  Phase phase() const noexcept { return phase_.load(std::memory_order_relaxed); }

  std::uint64_t counter() const noexcept { return counter_.load(std::memory_order_relaxed); }

 private:
  std::atomic<Phase> phase_{Phase::starting};
  std::atomic<std::uint64_t> counter_{0};
};

/// Enters a phase and returns to the one before.
class InPhase {
 public:
  InPhase(Progress& progress, Phase phase) : progress_(progress), before_(progress.phase()) {
    progress_.enter(phase);
  }

  ~InPhase() { progress_.enter(before_); }

  InPhase(const InPhase&) = delete;
  InPhase& operator=(const InPhase&) = delete;

 private:
  Progress& progress_;
  Phase before_;
};

}  // namespace keyshard
