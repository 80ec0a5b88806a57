#include "launch/bench/machine.hpp"

#include <cstring>

#include <gtest/gtest.h>

#include "runtime/memory_pool.hpp"

namespace keyshard {
namespace {

constexpr std::size_t kBytes = std::size_t{64} << 20;
constexpr auto kMost = static_cast<std::int64_t>(kBytes);

/// Takes memory, touches it, and gives it back.
void take_and_give_back() {
  void* memory = map_memory<Cpu>(kBytes);
  std::memset(memory, 1, kBytes);
  unmap_memory<Cpu>(memory, kBytes);
}

TEST(Machine, ThePeakShowsMemoryThatWasGivenBackAndBeginsAnew) {
  const std::int64_t before = resident_bytes();
  EXPECT_GT(before, 0);
  take_and_give_back();
  EXPECT_GE(peak_resident_bytes(), before + kMost * 9 / 10);
  EXPECT_LT(resident_bytes(), before + kMost / 2);
  reset_peak_resident();
  if (peak_resident_bytes() > before + kMost / 2) {
    GTEST_SKIP() << "this system does not let a program begin a new peak";
  }
  take_and_give_back();
  EXPECT_GE(peak_resident_bytes(), before + kMost * 9 / 10);
}

}  // namespace
}  // namespace keyshard
