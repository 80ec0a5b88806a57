// How a test wants its simulated device to behave. All that is drawn follows from one seed.
#pragma once

#include <cstdint>
#include <stdexcept>

namespace keyshard::sim {

/// What a kernel or a call did that a device would punish, perhaps without a word.
struct Failure : std::runtime_error {
  using runtime_error::runtime_error;
};

/// Whose operation runs when a host call has to wait: that of a queue that is drawn, or of the
/// newest that may go.
enum class Queues { drawn, newest_first };

struct Options {
  std::uint64_t seed = 1;
  Queues queues = Queues::drawn;
  bool guard = true;  ///< the host cannot touch memory of the device
};

/// The options of all threads from now on. No work may be queued.
void configure(const Options& options);
const Options& options();

/// Numbers drawn from a seed (Marsaglia, "Xorshift RNGs", 2003).
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 77) {}

  std::uint64_t operator()() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

 private:
  std::uint64_t state_;
};

}  // namespace keyshard::sim
