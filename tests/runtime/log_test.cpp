// The log of a job: lines that can be read while it runs, and kept when it starts again.
#include "runtime/log.hpp"

#include <regex>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

TEST(Log, ALineHasTimeLevelRankAndText) {
  const ScratchFolder folder;
  Log log(folder.path("log.txt"), 3);
  log.write(LogLevel::warning, "50% of {} is lost");
  EXPECT_TRUE(std::regex_match(
      folder.read("log.txt"),
      std::regex(R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} warning rank 3: 50% of \{\} is lost\n)")))
      << folder.read("log.txt");
}

TEST(Log, ALaterRunAppends) {
  const ScratchFolder folder;
  Log(folder.path("log.txt"), 0).write(LogLevel::info, "first");
  Log(folder.path("log.txt"), 0).write(LogLevel::error, "second");
  EXPECT_TRUE(std::regex_match(folder.read("log.txt"),
                               std::regex(".* info rank 0: first\n.* error rank 0: second\n")))
      << folder.read("log.txt");
}

TEST(Log, WithoutAFileItWritesNowhere) {
  Log log;
  log.write(LogLevel::info, "x");
}

TEST(Log, AFileThatCannotBeWrittenIsNamed) {
  try {
    Log("/proc/nowhere/log.txt", 0);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::io);
    EXPECT_TRUE(error.text().starts_with("/proc/nowhere/log.txt: cannot be written"))
        << error.text();
  }
}

}  // namespace
}  // namespace keyshard
