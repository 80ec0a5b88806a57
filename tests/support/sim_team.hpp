// Teams of 8 and 32 lanes on a CPU: each lane is a thread, and the lanes meet at every collective,
// as those of a warp do. What a functor computes with a team must be what it computes with one
// lane, bit for bit.
#pragma once

#include <array>
#include <barrier>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace keyshard::testing {

/// What the lanes of a team share.
template <int kWidth>
class SimMeeting {
 public:
  /// Every lane brings a word and the name of the collective; all get the words of all. Lanes in
  /// different collectives are an error that names both.
  std::array<std::uint64_t, kWidth> meet(int lane, const char* name, std::uint64_t word) {
    words_[static_cast<std::size_t>(lane)] = word;
    names_[static_cast<std::size_t>(lane)] = name;
    barrier_.arrive_and_wait();
    const auto words = words_;
    for (const char* other : names_) {
      if (std::strcmp(other, name) != 0) {
        const std::lock_guard lock(mutex_);
        error_ = std::string("lanes met in ") + name + " and " + other;
      }
    }
    barrier_.arrive_and_wait();
    return words;
  }

  void leave() { barrier_.arrive_and_drop(); }

  const std::string& error() const { return error_; }

 private:
  std::barrier<> barrier_{kWidth};
  std::array<std::uint64_t, kWidth> words_{};
  std::array<const char*, kWidth> names_{};
  std::mutex mutex_;
  std::string error_;
};

/// One lane's view of its team: the names of runtime/team.hpp.
template <int kWidth>
class SimTeam {
 public:
  SimTeam(SimMeeting<kWidth>& meeting, int lane) : meeting_(&meeting), lane_(lane) {}

  int thread_rank() const { return lane_; }

  int num_threads() const { return kWidth; }

  void sync() const { meeting_->meet(lane_, "sync", 0); }

  unsigned ballot(bool value) const {
    unsigned mask = 0;
    const auto words = meeting_->meet(lane_, "ballot", value ? 1 : 0);
    for (int lane = 0; lane < kWidth; ++lane) {
      mask |= static_cast<unsigned>(words[static_cast<std::size_t>(lane)]) << lane;
    }
    return mask;
  }

  bool any(bool value) const { return ballot(value) != 0; }

  bool all(bool value) const { return ballot(!value) == 0; }

  template <class T>
  T shfl(T value, int from) const {
    static_assert(sizeof(T) <= 8);
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    word = meeting_->meet(lane_, "shfl", word)[static_cast<std::size_t>(from)];
    std::memcpy(&value, &word, sizeof value);
    return value;
  }

 private:
  SimMeeting<kWidth>* meeting_;
  int lane_;
};

/// functor(i, team) for i in [0, n), as one team of a kernel would do it.
template <int kWidth, class Functor>
void run_team(std::int64_t n, const Functor& functor) {
  run_team<kWidth>([&](const SimTeam& team) {
    for (std::int64_t i = 0; i < n; ++i) {
      functor(i, team);
    }
  });
}

}  // namespace keyshard::testing
