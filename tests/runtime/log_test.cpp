// The log of a job: lines that can be read while it runs, and kept when it starts again.
#include "runtime/log.hpp"

#include <algorithm>
#include <sstream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

/// A text with every digit replaced by 0, so that the time of a line does not matter.
std::string without_time(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return '0' <= c && c <= '9'; }, '0');
  return text;
}

TEST(Log, ALineHasTimeLevelRankAndText) {
  const ScratchFolder folder;
  Log log(folder.path("log.txt"), 3);
  log.write(LogLevel::warning, "{}% of it is lost");
  const std::string line = folder.read("log.txt");  // while the log lives
  EXPECT_EQ(without_time(line), "0000-00-00 00:00:00.000 warning rank 0: {}% of it is lost\n");
  EXPECT_NE(line.find(" rank 3: "), std::string::npos) << line;
}

TEST(Log, ALaterRunAppends) {
  const ScratchFolder folder;
  Log(folder.path("log.txt"), 0).write(LogLevel::info, "first");
  Log(folder.path("log.txt"), 0).write(LogLevel::error, "second");
  EXPECT_EQ(without_time(folder.read("log.txt")),
            "0000-00-00 00:00:00.000 info rank 0: first\n"
            "0000-00-00 00:00:00.000 error rank 0: second\n");
}

TEST(Log, LinesOfSeveralThreadsAreWhole) {
  const ScratchFolder folder;
  Log log(folder.path("log.txt"), 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        log.write(LogLevel::info, std::string(100, static_cast<char>('a' + t)));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::istringstream text(folder.read("log.txt"));
  std::vector<int> lines(4);
  for (std::string line; std::getline(text, line);) {
    const std::string said = line.substr(line.size() - std::min<std::size_t>(line.size(), 100));
    ASSERT_EQ(said, std::string(100, said.at(0))) << line;
    ++lines.at(static_cast<std::size_t>(said[0] - 'a'));
  }
  EXPECT_EQ(lines, std::vector<int>(4, 200));
}

TEST(Log, AFullDiskLosesLinesAndNothingElse) {
  Log log("/dev/full", 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NO_THROW(log.write(LogLevel::error, std::string(100'000, 'x')));
  }
  EXPECT_EQ(log.lost(), 3);
  EXPECT_EQ(Log().lost(), 0);
}

TEST(Log, AMovedOneGoesOnInTheSameFile) {
  const ScratchFolder folder;
  Log first(folder.path("log.txt"), 0);
  first.write(LogLevel::info, "a");
  Log second = std::move(first);
  second.write(LogLevel::info, "b");
  EXPECT_EQ(without_time(folder.read("log.txt")),
            "0000-00-00 00:00:00.000 info rank 0: a\n0000-00-00 00:00:00.000 info rank 0: b\n");
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
