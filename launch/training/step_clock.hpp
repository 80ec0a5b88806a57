// Where the time and the launches of a step go. Only for reports and tests: no result depends on
// it.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace keyshard {

enum class StepPart : std::size_t { read, lookup, model, backward, update, evaluate, save };

inline constexpr std::array<const char*, 7> kStepParts{"read",   "lookup",   "model", "backward",
                                                       "update", "evaluate", "save"};

class StepClock {
 public:
  /// Adds the time since the last call, or the start, to this part.
  void stop(StepPart part) {
    const auto now = std::chrono::steady_clock::now();
    seconds_[static_cast<std::size_t>(part)] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

  /// Adds the launches since the last call, or the start, to this part; `launches` is the number of
  /// launches of the stream so far (Stream::launches).
  void count(StepPart part, std::int64_t launches) {
    launches_[static_cast<std::size_t>(part)] += launches - last_launches_;
    last_launches_ = launches;
  }

  std::int64_t launches(StepPart part) const { return launches_[static_cast<std::size_t>(part)]; }

  double seconds(StepPart part) const { return seconds_[static_cast<std::size_t>(part)]; }

  /// Of the total, in [0, 1].
  double share(StepPart part) const {
    const double whole = total();
    return whole > 0 ? seconds(part) / whole : 0;
  }

  double total() const {
    double sum = 0;
    for (const double s : seconds_) {
      sum += s;
    }
    return sum;
  }

  /// Sets all times and launches to 0 and starts again now.
  void reset() {
    const std::int64_t launches = last_launches_;
    *this = StepClock();
    last_launches_ = launches;
  }

 private:
  std::array<double, kStepParts.size()> seconds_{};
  std::array<std::int64_t, kStepParts.size()> launches_{};
  std::int64_t last_launches_ = 0;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace keyshard
