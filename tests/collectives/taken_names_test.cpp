// Names on one communicator: taken once, given back, apart from those of other communicators.
#include "collectives/taken_names.hpp"

#include <gtest/gtest.h>

#include "collectives/thread_communicator.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

TEST(TakenNames, AreTakenOnceAndGivenBack) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    auto first = communicator.names().take("items");
    EXPECT_NE(first, nullptr);
    EXPECT_EQ(communicator.names().take("items"), nullptr);
    EXPECT_NE(communicator.names().take("users"), nullptr);
    const auto moved = std::move(first);
    EXPECT_EQ(communicator.names().take("items"), nullptr);
  });
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    communicator.names().take("items");
    EXPECT_NE(communicator.names().take("items"), nullptr);
  });
}

TEST(TakenNames, OfAnotherCommunicatorAreFree) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    const auto own = communicator.names().take("items");
    std::shared_ptr<const void> longer;
    {
      const auto other = communicator.duplicate();
      longer = other->names().take("items");
      EXPECT_NE(longer, nullptr);
      EXPECT_EQ(other->names().take("items"), nullptr);
    }
    longer.reset();  // after its communicator
  });
}

}  // namespace
}  // namespace keyshard::testing
