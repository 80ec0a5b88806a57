// Runs functors of rows with one lane, as the launcher of a CPU does, and with teams of 8 and 32
// lanes, as kernels do; and compares the results, bit for bit.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/for_each.hpp"
#include "runtime/stream.hpp"
#include "tests/support/sim_team.hpp"

namespace keyshard::testing {

/// Widths of rows on both sides of the width of a team, and those that are compiled in.
inline constexpr std::int64_t kDims[] = {1, 4, 7, 8, 16, 31, 32, 33, 64, 70};

/// Numbers in [-1, 1).
inline std::vector<float> random_floats(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) {
    value = uniform(random);
  }
  return values;
}

/// Calls body(Alternative{}) for every alternative of a variant.
template <class Variant, std::size_t I = 0, class Body>
void for_alternatives(const Body& body) {
  body(std::variant_alternative_t<I, Variant>{});
  if constexpr (I + 1 < std::variant_size_v<Variant>) {
    for_alternatives<Variant, I + 1>(body);
  }
}

/// Launches with teams of one width.
class Lanes {
 public:
  /// 1, 8 or 32.
  explicit Lanes(int width) : width_(width) {}

  /// As for_each_row.
  template <class F>
  void rows(std::int64_t n, const F& functor) const {
    if (width_ == 1) {
      Stream<Cpu> stream;
      for_each_row(stream, n, functor);
    } else if (width_ == 8) {
      run_rows<8>(n, functor);
    } else {
      run_rows<32>(n, functor);
    }
  }

  /// As for_each_run.
  template <class F>
  void runs(Span<const std::int64_t> starts, const F& functor) const {
    if (width_ == 1) {
      Stream<Cpu> stream;
      for_each_run(stream, starts, functor);
    } else if (width_ == 8) {
      run_runs<8>(starts, functor);
    } else {
      run_runs<32>(starts, functor);
    }
  }

 private:
  int width_;
};

/// Numbers of any type as words, one after another, to be compared bit for bit.
class Bits {
 public:
  template <class T>
  void add(const std::vector<T>& values) {
    static_assert(std::has_unique_object_representations_v<T> || std::is_floating_point_v<T>);
    for (const T& value : values) {
      unsigned char bytes[sizeof(T)];
      std::memcpy(bytes, &value, sizeof(T));
      bytes_.insert(bytes_.end(), std::begin(bytes), std::end(bytes));
    }
  }

  const std::vector<unsigned char>& bytes() const { return bytes_; }

 private:
  std::vector<unsigned char> bytes_;
};

/// Expects that work(lanes), which returns the Bits of its results, returns the same at every
/// width.
template <class Work>
void expect_same_bits(const Work& work) {
  const Bits solo = work(Lanes(1));
  ASSERT_FALSE(solo.bytes().empty());
  EXPECT_EQ(work(Lanes(8)).bytes(), solo.bytes()) << "8 lanes";
  EXPECT_EQ(work(Lanes(32)).bytes(), solo.bytes()) << "32 lanes";
}

}  // namespace keyshard::testing
