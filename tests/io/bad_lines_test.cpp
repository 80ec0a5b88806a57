// Bad lines are counted over all ranks; a line beyond the limit ends the job on every rank with the
// same message.
#include "io/bad_lines.hpp"

#include <atomic>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

using testing::run_ranks;

Batch batch_with(std::int64_t bad_lines, const std::string& first) {
  Batch batch;
  batch.bad_lines = bad_lines;
  batch.first_bad_line = first;
  return batch;
}

TEST(BadLines, AreCountedOverAllRanksInTheEpochAndInAll) {
  run_ranks(3, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    BadLines lines(100);
    const Batch batch = batch_with(communicator.rank(), "x");  // 0 + 1 + 2
    lines.add(communicator, batch);
    lines.add(communicator, batch);
    EXPECT_EQ(lines.counts().total, 6);
    EXPECT_EQ(lines.counts().epoch, 6);
    lines.begin_epoch();
    lines.add(communicator, batch);
    EXPECT_EQ(lines.counts().total, 9);
    EXPECT_EQ(lines.counts().epoch, 3);
  });
}

TEST(BadLines, AsManyAsAreAllowedAreFine) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    BadLines lines(2);
    EXPECT_NO_THROW(lines.add(communicator, batch_with(1, "x")));
    EXPECT_EQ(lines.counts().epoch, 2);
  });
}

TEST(BadLines, OneTooManyIsSaidOnEveryRankWithTheFirstOfTheBatch) {
  for (int bad_rank = 0; bad_rank < 3; ++bad_rank) {
    std::atomic<int> refused = 0;
    run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
      BadLines lines(1);
      const bool bad = communicator.rank() >= bad_rank;
      const Batch batch =
          batch_with(bad ? 2 : 0, bad ? fmt::format("a.csv:{}: no", communicator.rank()) : "");
      try {
        lines.add(communicator, batch);
      } catch (const Error& error) {
        ++refused;
        EXPECT_EQ(error.kind(), Kind::bad_input);
        EXPECT_EQ(error.text(), fmt::format("a.csv:{}: no (bad lines: {}, allowed: 1)", bad_rank,
                                            2 * (3 - bad_rank)));
      }
    });
    EXPECT_EQ(refused, 3) << "first bad line on rank " << bad_rank;
  }
}

TEST(BadLines, OfABatchWithoutOneNoneIsTooMany) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    BadLines lines(0);
    for (int i = 0; i < 5; ++i) {
      EXPECT_NO_THROW(lines.add(communicator, batch_with(0, "")));
    }
  });
}

TEST(BadLines, AreAllowedAnewInEveryEpoch) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    BadLines lines(1);
    for (int epoch = 0; epoch < 4; ++epoch) {
      EXPECT_NO_THROW(lines.add(communicator, batch_with(1, "x")));
      lines.begin_epoch();
    }
    EXPECT_EQ(lines.counts().total, 4);
  });
}

TEST(BadLines, GoOnFromTheCountsOfACheckpoint) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    BadLines lines(5);
    lines.restore({7, 5});
    EXPECT_THROW(lines.add(communicator, batch_with(1, "x")), Error);
    EXPECT_EQ(lines.counts().total, 8);
  });
}

TEST(BadLines, ASumThatIsKnownAlreadyIsTaken) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    BadLines lines(9);
    lines.add(communicator, batch_with(1, "x"), 9);
    EXPECT_EQ(lines.counts().epoch, 9);
    EXPECT_THROW(lines.add(communicator, batch_with(0, "x"), 1), Error);
  });
}

}  // namespace
}  // namespace keyshard
