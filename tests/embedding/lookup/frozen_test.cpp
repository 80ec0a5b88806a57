// Features that are not trainable, and what a bag with no ids gives, against the definition of a
// lookup, bit for bit.
#include "embedding/lookup/frozen.hpp"

#include <gtest/gtest.h>

#include "tests/embedding/lookup/run_problem.hpp"
#include "tests/support/counts.hpp"

namespace keyshard {
namespace {

using testing::make_problem;
using testing::Outcome;
using testing::Problem;
using testing::reference;
using testing::run;
using testing::Vector;

const std::pair<ExchangeMode, PoolOrder> kModes[] = {{ExchangeMode::rows, PoolOrder::bag},
                                                     {ExchangeMode::rows, PoolOrder::shard},
                                                     {ExchangeMode::reduced, PoolOrder::shard},
                                                     {ExchangeMode::automatic, PoolOrder::shard}};

TEST(Lookup, SendsNothingBackFromFeaturesThatAreNotTrainable) {
  for (const auto& [mode, order] : kModes) {
    Problem p = make_problem(7, mode, order);
    // Table 0 has features of both kinds, tables 1 and 2 have one kind each.
    for (const std::size_t frozen : {2, 4, 1, 5}) {
      p.features[frozen].trainable = false;
    }
    const Outcome expected = reference(p);
    EXPECT_FALSE(expected.rows[0].empty());
    EXPECT_TRUE(expected.rows[1].empty());
    EXPECT_FALSE(expected.rows[2].empty());
    for (const int ranks : testing::rank_counts({1, 2, 3, 4, 5, 8})) {
      EXPECT_TRUE(run(p, ranks, 1 + ranks % 2) == expected) << ranks << " ranks";
    }
  }
}

TEST(Lookup, SendsNothingAtAllBackWhereNoFeatureIsTrainable) {
  for (const auto& [mode, order] : kModes) {
    Problem p = make_problem(8, mode, order);
    for (FeatureOptions& feature : p.features) {
      feature.trainable = false;
    }
    const Outcome expected = reference(p);
    EXPECT_EQ(expected.rows, (std::vector<std::map<Key, Vector>>(3)));
    for (const int ranks : testing::rank_counts({1, 3})) {
      EXPECT_TRUE(run(p, ranks, 1) == expected) << ranks << " ranks";
    }
  }
}

TEST(Lookup, GivesEmptyBagsWhatTensorFlowReducesAnEmptyListTo) {
  for (const auto& [mode, order] : kModes) {
    Problem p = make_problem(9, mode, order);
    for (std::size_t f = 0; f + 1 < p.features.size(); ++f) {
      p.features[f].empty_bag = EmptyBag::tf;
    }
    const Outcome expected = reference(p);
    for (const int ranks : testing::rank_counts({1, 2, 3})) {
      EXPECT_TRUE(run(p, ranks, 1) == expected) << ranks << " ranks";
    }
  }
}

}  // namespace
}  // namespace keyshard
