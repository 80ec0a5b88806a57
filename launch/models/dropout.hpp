// Dropout as a pure function of (seed, step, layer, sample, unit): no generator that a rank or
// thread advances. Kept units are scaled up in training, so that evaluation leaves them alone.
#pragma once

#include <cstdint>

#include "runtime/hash.hpp"

namespace keyshard {

class Dropout {
 public:
  /// Drops a unit with probability `rate` in [0, 1), rounded to a multiple of 2^-16.
  explicit Dropout(double rate)
      : dropped_(static_cast<std::uint32_t>(rate * 65536.0 + 0.5)),
        scale_(static_cast<float>(65536.0 / (65536.0 - dropped_))) {}

  bool active() const { return dropped_ > 0; }

  /// 1 / (1 - rate): the factor of a unit that is kept.
  float scale() const { return scale_; }

  /// The hash that decides about all units of one sample in one layer and step.
  static std::uint64_t row_key(std::uint64_t seed, std::int64_t step, int layer,
                               std::int64_t sample) {
    return hash_of(seed, step, layer, sample);
  }

  bool keeps(std::uint64_t row_key, std::int64_t unit) const {
    return (four_units(row_key, unit / 4) >> (unit % 4 * 16) & 0xFFFF) >= dropped_;
  }

  /// Drops or scales the units of a row.
  void apply(std::uint64_t row_key, float* row, std::int64_t units) const {
    for (std::int64_t j = 0; j < units; j += 4) {
      std::uint64_t bits = four_units(row_key, j / 4);
      for (std::int64_t k = j; k < units && k < j + 4; ++k, bits >>= 16) {
        const float scaled = row[k] * scale_;
        row[k] = (bits & 0xFFFF) >= dropped_ ? scaled : 0.0f;
      }
    }
  }

 private:
  /// One hash has sixteen bits for each of four units.
  static std::uint64_t four_units(std::uint64_t row_key, std::int64_t block) {
    return mix64(row_key + static_cast<std::uint64_t>(block) * 0x9E3779B97F4A7C15ull);
  }

  std::uint32_t dropped_;
  float scale_;
};

}  // namespace keyshard
