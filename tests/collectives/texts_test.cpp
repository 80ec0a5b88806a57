// Texts that ranks tell each other: of any size and any bytes.
#include "collectives/texts.hpp"

#include <gtest/gtest.h>

#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

using testing::run_ranks;

/// A text of each rank: none, one with a zero byte, and a long one.
std::vector<std::string> some_texts() {
  return {"", std::string("a\0b", 3), std::string(100'000, 'x')};
}

TEST(BroadcastText, GivesTheTextOfRankZeroWhateverTheOthersHave) {
  for (const std::string& text : some_texts()) {
    run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
      const auto rank = static_cast<std::size_t>(communicator.rank());
      EXPECT_EQ(broadcast_text(communicator, rank == 0 ? text : std::string(rank, '?')), text);
    });
  }
}

TEST(GatherTexts, GivesTheTextsOfAllRanksByRankWhateverTheirSizes) {
  run_ranks(3, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    const std::string mine = some_texts()[static_cast<std::size_t>(communicator.rank())];
    EXPECT_EQ(gather_texts(communicator, mine), some_texts());
  });
}

TEST(GatherTexts, OfNothingAreEmptyTexts) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    EXPECT_EQ(gather_texts(communicator, ""), (std::vector<std::string>{"", ""}));
  });
}

}  // namespace
}  // namespace keyshard
