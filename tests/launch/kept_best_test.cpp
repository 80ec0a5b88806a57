// Which checkpoint of a best step stays where saves fail.
#include <set>

#include <gtest/gtest.h>

#include "launch/job_checkpoint.hpp"

namespace keyshard {
namespace {

/// Answers at the saves of a job whose saves of these steps have succeeded.
class KeptBestTest : public ::testing::Test {
 protected:
  std::int64_t at(std::int64_t step, std::int64_t best) {
    return kept_.at(step, best, [&](std::int64_t asked) { return saved_.contains(asked); });
  }

  std::set<std::int64_t> saved_;
  KeptBest kept_;
};

TEST_F(KeptBestTest, IsTheBestStepWhereItWasSaved) {
  EXPECT_EQ(at(2, 2), 2);
  saved_ = {2};
  EXPECT_EQ(at(3, 2), 2);
  EXPECT_EQ(at(4, 4), 4);
  saved_ = {2, 3, 4};
  EXPECT_EQ(at(5, 4), 4);
}

TEST_F(KeptBestTest, IsTheOneBeforeWhereTheSaveOfTheBestStepHasFailed) {
  EXPECT_EQ(at(2, 2), 2);
  saved_ = {2};
  EXPECT_EQ(at(4, 4), 4);  // fails
  EXPECT_EQ(at(5, 4), 2);
  EXPECT_EQ(at(6, 6), 6);  // fails, too
  EXPECT_EQ(at(7, 6), 2);
  EXPECT_EQ(at(8, 8), 8);
  saved_ = {2, 8};
  EXPECT_EQ(at(9, 8), 8);
}

TEST_F(KeptBestTest, IsNoneWhereNoneWasSavedAndTheBestOneOfAJobThatGoesOn) {
  EXPECT_EQ(at(2, 1), -1);
  saved_ = {1};
  EXPECT_EQ(at(3, 1), 1);
  kept_ = {};
  EXPECT_EQ(at(4, 1), 1);
}

}  // namespace
}  // namespace keyshard
