#include "collectives/vote.hpp"

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

TEST(Vote, ThrowsOnAllRanksWhatTheLowestFailingOneThrew) {
  run_ranks(3, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    try {
      vote(communicator, [&] {
        require(communicator.rank() == 0, Kind::corrupt_data, "no luck on {}", communicator.rank());
      });
      ADD_FAILURE() << "passed";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::corrupt_data);
      EXPECT_EQ(error.text(), "rank 1: no luck on 1");
      EXPECT_NE(dynamic_cast<const SharedError*>(&error), nullptr);
    }
  });
}

TEST(Vote, PassesWhereAllRanksDo) {
  run_ranks(3, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    int calls = 0;
    vote(communicator, [&] { ++calls; });
    EXPECT_EQ(calls, 1);
  });
}

TEST(Vote, TakesAnyException) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    EXPECT_THROW(vote(communicator, [] { throw std::runtime_error("other"); }), Error);
    EXPECT_THROW(vote(communicator, [] { throw std::bad_alloc(); }), Error);
  });
}

}  // namespace
}  // namespace keyshard::testing
