// The output of the golden runner for folders that the test writes: right numbers, wrong numbers,
// sections that are not built, and files that cannot be read. Expected values are worked by hand.
#include "tests/golden/runner.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace keyshard::testing {
namespace {

/// A folder of golden files, removed at the end.
class GoldenRunner : public ::testing::Test {
 protected:
  GoldenRunner() { std::filesystem::create_directories(folder_); }

  ~GoldenRunner() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& file, const std::string& sections) {
    std::ofstream(folder_ / (file + ".json"))
        << R"({"file": ")" << file << R"(", "format": 1, "seed": 0, "versions": {}, )" << sections
        << "}";
  }

  /// What the runner writes; `passed` gets its verdict.
  std::string run() {
    std::ostringstream out;
    passed_ = run_golden(folder_.string(), out);
    return out.str();
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() /
      ("keyshard_golden_" +
       std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
  bool passed_ = false;
};

std::string partition(int shard) {
  return fmt::format(
      R"("keys": {{"int64": {{"dtype": "int64", "shape": [2], "data": ["-1", "7"]}}}},
         "cases": [{{"keys": "int64", "shards": 3,
                     "modulo": {{"dtype": "int32", "shape": [2], "data": [2, {}]}}}}])",
      shard);
}

/// A sum of the rows 3 and 4 of keys 1 and 2, whose gradient is that of the sum.
std::string small(double output, double gradient, double row) {
  const auto tensor = [](const char* dtype, const char* shape, const std::string& data) {
    return fmt::format(R"({{"dtype": "{}", "shape": {}, "data": [{}]}})", dtype, shape, data);
  };
  return fmt::format(
      R"("small": [{{"name": "by_hand", "combiner": "sum", "missing": 0.0,
           "table": {{"keys": {0}, "rows": {1}}}, "ids": {0}, "distinct_keys": {0}, "upstream": {2},
           "output": {3}, "output64": {3}, "key_gradient": {4}, "key_gradient64": {4}, "rows_after_sgd_lr1": {5}}}])",
      tensor("int64", "[2]", R"("1", "2")"), tensor("float32", "[2, 1]", "3, 4"),
      tensor("float32", "[1]", "0.5"), tensor("float32", "[1]", fmt::format("{}", output)),
      tensor("float32", "[2, 1]", fmt::format("0.5, {}", gradient)),
      tensor("float32", "[2, 1]", fmt::format("2.5, {}", row)));
}

TEST_F(GoldenRunner, RightNumbersPassAndAreCounted) {
  write("partition", partition(1));
  write("squashed_layer", small(7, 0.5, 3.5));

  EXPECT_EQ(run(), "2 passed, 0 failed\n");
  EXPECT_TRUE(passed_);
}

TEST_F(GoldenRunner, AWrongNumberIsALineWithFileSectionCaseAndPlace) {
  write("partition", partition(2));
  write("squashed_layer", small(7, 0.5, 3.5));

  EXPECT_EQ(run(),
            "FAILED partition: cases modulo int64 3: shard[1]: expected 2: found 1\n"
            "1 passed, 1 failed\n");
  EXPECT_FALSE(passed_);
}

TEST_F(GoldenRunner, EveryKindOfNumberOfALayerIsCompared) {
  for (const auto& [section, place] : {std::pair{small(7.001, 0.5, 3.5), "output64[0]"},
                                       std::pair{small(7, 0.5001, 3.5), "key_gradient64[1]"},
                                       std::pair{small(7, 0.5, 3.501), "rows_after_sgd_lr1[1]"}}) {
    write("squashed_layer", section);
    const std::string said = run();

    EXPECT_FALSE(passed_) << place;
    EXPECT_NE(said.find(std::string("FAILED squashed_layer: small sum by_hand: 1 rank: ") + place),
              std::string::npos)
        << said;
    EXPECT_NE(said.find("0 passed, 1 failed\n"), std::string::npos) << said;
  }
}

TEST_F(GoldenRunner, WhatIsNotBuiltIsSaidOnceAndIsNoFailure) {
  write("later", R"("reads": [{"name": "a"}, {"name": "b"}], "training": [])");

  EXPECT_EQ(run(), "NOT BUILT later: reads\nNOT BUILT later: training\n0 passed, 0 failed\n");
  EXPECT_TRUE(passed_);
}

TEST_F(GoldenRunner, AFileThatDoesNotReadIsAFailure) {
  std::ofstream(folder_ / "broken.json") << R"({"file": "combiners", "cases": [)";
  const std::string said = run();

  EXPECT_FALSE(passed_);
  EXPECT_NE(said.find("broken.json"), std::string::npos) << said;
  EXPECT_NE(said.find("\n0 passed, 1 failed\n"), std::string::npos) << said;
}

TEST_F(GoldenRunner, ASectionWithoutWhatItNeedsIsAFailure) {
  write("combiners", R"("cases": [{"bag": "lost", "combiner": "sum"}])");

  EXPECT_NE(run().find("FAILED combiners: cases"), std::string::npos);
  EXPECT_FALSE(passed_);
}

TEST_F(GoldenRunner, AFolderWithoutGoldenFilesIsAFailure) {
  EXPECT_NE(run().find("0 passed, 1 failed\n"), std::string::npos);
  EXPECT_FALSE(passed_);
}

}  // namespace
}  // namespace keyshard::testing
