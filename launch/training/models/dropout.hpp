// Dropout as a pure function of (seed, step, layer, sample, unit): there is no generator that a
// rank or thread would advance. Kept units are scaled up in training, so evaluation needs no
// scaling.
#pragma once

#include <cstdint>

#include "runtime/hash.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

class Dropout {
 public:
  /// Drops a unit with probability `rate` in [0, 1), rounded to a multiple of 2^-24.
  explicit Dropout(double rate)
      : dropped_(static_cast<std::int32_t>(rate * 0x1p24 + 0.5)),
        scale_(static_cast<float>(0x1p24 / (0x1p24 - dropped_))) {}

  KEYSHARD_HD bool active() const { return dropped_ > 0; }

  /// 1 / (1 - rate): the factor of a unit that is kept.
  KEYSHARD_HD float scale() const { return scale_; }

  /// The hash that decides about all units of one sample in one layer and step.
  KEYSHARD_HD static std::uint64_t row_key(std::uint64_t seed, std::int64_t step, int layer,
                                           std::int64_t sample) {
    return hash_of(seed, step, layer, sample);
  }

  KEYSHARD_HD bool keeps(std::uint64_t row_key, std::int64_t unit) const {
    return upper_bits(row_key, static_cast<std::uint32_t>(unit)) >= dropped_;
  }

  /// Drops or scales the units of a row, each by the lane that owns it.
  template <class Team>
  KEYSHARD_HD void apply(const Team& team, std::uint64_t row_key, float* row,
                         std::int64_t units) const {
    // Copies: a store to the row cannot change them, so compilers can work on many units at once.
    const std::int32_t dropped = dropped_;
    const float scale = scale_;
    for (std::int64_t j = team.thread_rank(); j < units; j += team.num_threads()) {
      row[j] *= upper_bits(row_key, static_cast<std::uint32_t>(j)) >= dropped ? scale : 0.0f;
    }
  }

 private:
  /// 24 bits of a hash, mixed in 32 bits so that vector instructions hash 8 units at once.
  /// Constants: C. Wellons, hash-prospector (lowbias32).
  KEYSHARD_HD static std::int32_t upper_bits(std::uint64_t row_key, std::uint32_t unit) {
    std::uint32_t x = static_cast<std::uint32_t>(row_key) + unit * 0x9E3779B9u;
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x ^= static_cast<std::uint32_t>(row_key >> 32);
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return static_cast<std::int32_t>((x ^ x >> 16) >> 8);
  }

  std::int32_t dropped_;
  float scale_;
};

}  // namespace keyshard
