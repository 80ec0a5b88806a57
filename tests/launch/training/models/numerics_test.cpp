#include "launch/training/models/numerics.hpp"

#include <thread>

#include <gtest/gtest.h>

#include "launch/training/models/gemm.hpp"

namespace keyshard {
namespace {

TEST(Numerics, TheFingerprintIsTheSameOnEveryThreadAndCall) {
  const std::string fingerprint = numerics_fingerprint();
  std::string other;
  std::thread([&] { other = numerics_fingerprint(); }).join();
  EXPECT_EQ(fingerprint, other);
}

TEST(Numerics, TheFingerprintNamesTheCodePathAndTheVersions) {
  const std::string fingerprint = numerics_fingerprint();
  EXPECT_EQ(fingerprint.find(gemm_code_path() + ", oneDNN " + gemm_version() + ", glibc 2."), 0u)
      << fingerprint;
}

}  // namespace
}  // namespace keyshard
