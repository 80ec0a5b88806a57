// Pinning the code path. Only the first call of a process can pin, so this test has its own
// process.
#include <array>

#include <gtest/gtest.h>

#include "launch/training/models/gemm.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

TEST(GemmPinned, ThePathIsTheOneThatWasAskedFor) {
  try {
    pin_gemm_code_path("avx2");
  } catch (const Error&) {
    GTEST_SKIP() << "this machine has no AVX2: its path is " << gemm_code_path();
  }
  EXPECT_EQ(gemm_code_path(), "avx2");
  const std::array<float, 2> a{2, 3}, b{5, 7};
  float c = 0;
  Serial queue;
  multiply(queue, {a.data(), 1, 2, 2}, {b.data(), 2, 1, 1}, {&c, 1, 1, 1});
  EXPECT_EQ(c, 31.0f);
  pin_gemm_code_path("avx2");  // again: nothing changes
}

}  // namespace
}  // namespace keyshard
