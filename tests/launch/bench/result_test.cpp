#include "launch/bench/result.hpp"

#include <fstream>

#include <gtest/gtest.h>

#include "runtime/json.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

BenchResult times(const std::string& peer, std::vector<std::vector<double>> rounds) {
  BenchResult result{peer, "W1 lookup", "ms", 16, {}, {{"mkeys_per_s", 53.25}}, 0.01, 0};
  for (std::vector<double>& round : rounds) {
    result.rounds.push_back(spread_of(round));
  }
  return result;
}

TEST(BenchResult, TheMedianOfAnEvenNumberIsTheMeanOfTheMiddle) {
  const Spread spread = spread_of({4, 1, 3, 2});
  EXPECT_EQ(spread.n, 4);
  EXPECT_EQ(spread.min, 1);
  EXPECT_EQ(spread.median, 2.5);
  EXPECT_EQ(spread.max, 4);
}

TEST(BenchResult, TheRatioIsTakenRoundByRound) {
  const BenchResult ours = times("keyshard", {{3}, {8}, {2}});
  const BenchResult floor = times("floor", {{1}, {2}, {2}});
  EXPECT_EQ(ours.median(), 3);
  EXPECT_EQ(ratio_of(ours, floor), 3);
}

TEST(BenchResult, APauseIsWhatAStepTakesBeyondThoseAboutIt) {
  EXPECT_EQ(longest_pause({}), 0);
  EXPECT_EQ(longest_pause({5}), 0);
  EXPECT_EQ(longest_pause({9, 9, 9, 9, 9, 5, 5, 5, 5, 5, 5, 5, 5, 5}), 0);  // slow, not paused
  EXPECT_EQ(longest_pause({12, 9, 9, 9, 8, 8, 8, 7, 7, 7, 6, 6, 8.5, 6, 5}),
            4);  // the first: 12 - 8
  EXPECT_EQ(longest_pause({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3}), 2);
}

TEST(BenchResult, ALineHasTheKeysOfThePeersTable) {
  const BenchRun run{1, 2, {{"keyshard", "0.1.0"}}, "CPU model 1", false};
  const std::string line = json_line(run, times("keyshard-2rank", {{1, 2}, {3}}), 1);
  EXPECT_EQ(line,
            R"({"peer":"keyshard-2rank","measure":"W1 lookup","dim":16,"threads":2,)"
            R"("huge_pages":false,"round":2,"unit":"ms","n":1,"min":3.0,"median":3.0,"max":3.0,)"
            R"("others_busy":0.01,"cpu":"CPU model 1","versions":{"keyshard":"0.1.0"},"ranks":2,)"
            R"("mkeys_per_s":53.25})");
}

TEST(BenchResult, LinesAreAppendedToTheFileOfTheCommand) {
  const testing::ScratchFolder scratch;
  const std::string path = scratch.path("results.jsonl");
  std::ofstream(path) << "{\"peer\":\"other\"}\n";
  BenchReport report({1, 1, {}, "CPU", false}, path, false);
  report.compare(times("keyshard", {{1}, {2}}), times("floor", {{1}, {1}}));
  std::ifstream file(path);
  std::vector<std::string> peers;
  for (std::string line; std::getline(file, line);) {
    const SettingValue tree = parse_json(line, path);
    const auto& object = std::get<SettingValue::Table>(tree.value);
    peers.push_back(std::get<std::string>(object.front().second.value));
  }
  EXPECT_EQ(peers, (std::vector<std::string>{"other", "keyshard", "keyshard", "floor", "floor"}));
}

}  // namespace
}  // namespace keyshard
