// What a rank is doing, for its watchdog: a phase, and a counter that moves while the rank works.
// Only the main thread of the rank enters a phase; any thread that works for the rank may advance
// the counter. The members are relaxed atomics: the thread of the watchdog reads them.
#pragma once

#include <atomic>
#include <cstdint>

namespace keyshard {

/// Parts of a job that can get stuck. Each has a time limit.
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

  /// For loops over records: advances at every 4096th.
  void advance_at(std::int64_t record) noexcept {
    if (record % 4096 == 0) {
      advance();
    }
  }

  Phase phase() const noexcept { return phase_.load(std::memory_order_relaxed); }

  std::uint64_t counter() const noexcept { return counter_.load(std::memory_order_relaxed); }

  /// Whether this rank waits for others in a collective.
  bool waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }

  /// Collectives that this rank has entered so far.
  std::uint64_t collectives() const noexcept {
    return collectives_.load(std::memory_order_relaxed);
  }

  void enter_collective() noexcept {
    collectives_.fetch_add(1, std::memory_order_relaxed);
    begin_wait();
  }

  /// Waits for others, in what a collective has left to a device. No new collective.
  void begin_wait() noexcept {
    waiting_.store(true, std::memory_order_relaxed);
    advance();
  }

  /// Ends a collective or a wait.
  void end_wait() noexcept {
    waiting_.store(false, std::memory_order_relaxed);
    advance();
  }

 private:
  std::atomic<Phase> phase_{Phase::starting};
  std::atomic<std::uint64_t> counter_{0};
  std::atomic<std::uint64_t> collectives_{0};
  std::atomic<bool> waiting_{false};
};

/// Marks a rank as waiting in a collective for as long as this object lives.
class InCollective {
 public:
  explicit InCollective(Progress& progress) : progress_(progress) { progress_.enter_collective(); }

  ~InCollective() { progress_.end_wait(); }

  InCollective(const InCollective&) = delete;
  InCollective& operator=(const InCollective&) = delete;

 private:
  Progress& progress_;
};

/// Enters a phase, and at its own end returns to the phase before.
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
