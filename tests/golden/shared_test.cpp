// The golden files that are handed out with the project.
#include <filesystem>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/golden/runner.hpp"

namespace keyshard::testing {
namespace {

TEST(Golden, EveryCaseOfTheSharedFilesPasses) {
  const std::string folder = std::string(KEYSHARD_SHARED_DIR) + "/golden";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << "no golden files at " << folder;
  }
  std::ostringstream out;
  const bool passed = run_golden(folder, out);

  EXPECT_TRUE(passed) << out.str();
  EXPECT_NE(out.str().find(" passed, 0 failed\n"), std::string::npos);
  EXPECT_EQ(out.str().find("\n0 passed"), std::string::npos);
}

}  // namespace
}  // namespace keyshard::testing
