// Where the time of a step goes. Only for reports: no result depends on it.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

namespace keyshard {

enum class StepPart : std::size_t { read, lookup, model, backward, update, evaluate, save };

inline constexpr std::array<const char*, 7> kStepParts{"read",   "lookup",   "model", "backward",
                                                       "update", "evaluate", "save"};

class StepClock {
 public:
  /// Everything since the last call, or the start, went to this part.
  void stop(StepPart part) {
    const auto now = std::chrono::steady_clock::now();
    seconds_[static_cast<std::size_t>(part)] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

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

  void reset() { *this = StepClock(); }

 private:
  std::array<double, kStepParts.size()> seconds_{};
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace keyshard
