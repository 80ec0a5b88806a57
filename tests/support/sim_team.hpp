// A team of several lanes on the host: each lane is a thread, and lanes meet at every collective,
// as the lanes of a warp do. Where lanes reach different collectives, or a lane ends early, all
// lanes fail with the names of both places: a GPU would hang or read garbage.
#pragma once

#include <array>
#include <barrier>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#include "runtime/for_each.hpp"

namespace keyshard::testing {

/// Where the lanes of one team meet.
class TeamMeeting {
 public:
  static constexpr int kMaxWidth = 32;
  using Words = std::array<std::uint64_t, kMaxWidth>;

  explicit TeamMeeting(int width) : width_(width), barrier_(width) {}

  int width() const noexcept { return width_; }

  /// Brings the word of a lane to the collective `name`; returns the words of all lanes. Throws
  /// Error{invalid_argument} on every lane when one lane is at another collective.
  Words meet(int lane, const char* name, std::uint64_t word);

 private:
  int width_;
  std::barrier<> barrier_;
  std::array<const char*, kMaxWidth> names_{};
  Words words_{};
};

/// One lane's view of its team. Members have the names of CUDA's cooperative groups, as those of
/// Solo do (runtime/team.hpp).
class SimTeam {
 public:
  SimTeam(TeamMeeting& meeting, int lane) : meeting_(&meeting), lane_(lane) {}

  int thread_rank() const { return lane_; }

  int num_threads() const { return meeting_->width(); }

  void sync() const { meeting_->meet(lane_, "sync", 0); }

  bool any(bool value) const { return mask("any", value) != 0; }

  bool all(bool value) const { return mask("all", !value) == 0; }

  unsigned ballot(bool value) const { return mask("ballot", value); }

  template <class T>
  T shfl(T value, int from) const {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t));
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    const TeamMeeting::Words words = meeting_->meet(lane_, "shfl", word);
    std::memcpy(&value, &words[static_cast<std::size_t>(from)], sizeof value);
    return value;
  }

 private:
  unsigned mask(const char* name, bool value) const;

  TeamMeeting* meeting_;
  int lane_;
};

/// Calls body(team) on `width` lanes, each a thread, and waits. Throws the error of the lowest lane
/// that failed by itself, not an error that this failure caused on other lanes.
void run_lanes(int width, const std::function<void(const SimTeam&)>& body);

/// body(team) on every lane of a team.
template <int kWidth, class Body>
void run_team(const Body& body) {
  static_assert(kWidth >= 1 && kWidth <= TeamMeeting::kMaxWidth && (kWidth & (kWidth - 1)) == 0);
  run_lanes(kWidth, body);
}

/// functor(i, team) for i in [0, n), as one team of a kernel would do it.
template <int kWidth, class Functor>
void run_rows(std::int64_t n, const Functor& functor) {
  run_team<kWidth>([&](const SimTeam& team) {
    for (std::int64_t i = 0; i < n; ++i) {
      call_row(functor, i, team);
    }
  });
}

/// The same for a functor of several runs (for_each_run).
template <int kWidth, class Functor>
void run_runs(Span<const std::int64_t> starts, const Functor& functor) {
  run_team<kWidth>([&](const SimTeam& team) {
    for (std::int64_t i = 0; i < starts[starts.size() - 1]; ++i) {
      call_run(functor, starts.data(), starts.size() - 1, i, team);
    }
  });
}

}  // namespace keyshard::testing
