// Ranks as threads: what any communicator does, and how failures reach all of them.
#include "collectives/thread_communicator.hpp"

#include <functional>
#include <string>
#include <thread>
#include <tuple>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/collectives/communicator_checks.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

class ThreadRanks : public ::testing::TestWithParam<std::tuple<RankCheck<Cpu>, int>> {};

TEST_P(ThreadRanks, Hold) {
  const auto& [check, ranks] = GetParam();
  run_ranks(ranks, 2, check.run);
}

std::string name_of_case(const ::testing::TestParamInfo<ThreadRanks::ParamType>& info) {
  return fmt::format("{}_On{}", std::get<0>(info.param).name, std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Communicator, ThreadRanks,
                         ::testing::Combine(::testing::ValuesIn(communicator_checks<Cpu>()),
                                            ::testing::ValuesIn(rank_counts({1, 2, 3, 4, 8}))),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(FoldedSum, ThreadRanks,
                         ::testing::Combine(::testing::ValuesIn(folded_sum_checks<Cpu>()),
                                            ::testing::ValuesIn(rank_counts({1, 2, 3, 4, 5, 6, 7,
                                                                             8}))),
                         name_of_case);

/// What each of the ranks throws: the text of its Error{communication}, or "".
std::vector<std::string> texts_of(std::vector<std::unique_ptr<Communicator<Cpu>>>& communicators,
                                  const std::function<void(Communicator<Cpu>&)>& body) {
  std::vector<std::string> texts(communicators.size());
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < texts.size(); ++rank) {
    threads.emplace_back([&, rank] {
      try {
        body(*communicators[rank]);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Kind::communication);
        texts[rank] = error.text();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  return texts;
}

TEST(ThreadCommunicator, AFailureOfOneRankEndsPendingAndLaterCollectivesOfAll) {
  auto communicators = make_thread_communicators(3);
  const auto texts = texts_of(communicators, [](Communicator<Cpu>& communicator) {
    if (communicator.rank() == 1) {
      communicator.abort("the disk is full", 1);
    }
    communicator.barrier();
  });
  EXPECT_EQ(texts, std::vector<std::string>(3, "rank 1: the disk is full"));
  const auto later =
      texts_of(communicators, [](Communicator<Cpu>& communicator) { communicator.barrier(); });
  EXPECT_EQ(later, texts);
}

TEST(ThreadCommunicator, AnAbortIsSeenByThoseWhoWaitForSomethingElse) {
  auto communicators = make_thread_communicators(2);
  EXPECT_NO_THROW(communicators[0]->throw_if_aborted());
  communicators[1]->abort("the disk is full", 1);
  const auto texts = texts_of(
      communicators, [](Communicator<Cpu>& communicator) { communicator.throw_if_aborted(); });
  EXPECT_EQ(texts, std::vector<std::string>(2, "rank 1: the disk is full"));
}

TEST(ThreadCommunicator, AFailureReachesThoseWhoWaitInADuplicate) {
  auto communicators = make_thread_communicators(2);
  const auto texts = texts_of(communicators, [](Communicator<Cpu>& communicator) {
    const auto duplicate = communicator.duplicate();
    if (communicator.rank() == 0) {
      communicator.abort("the disk is full", 1);
    }
    duplicate->barrier();
  });
  EXPECT_EQ(texts, std::vector<std::string>(2, "rank 0: the disk is full"));
}

TEST(ThreadCommunicator, DifferentCollectivesFailOnAllRanks) {
  auto communicators = make_thread_communicators(3);
  const auto texts = texts_of(communicators, [](Communicator<Cpu>& communicator) {
    std::int64_t value = 0;
    if (communicator.rank() == 2) {
      communicator.all_reduce(Span<std::int64_t>(&value, 1), Reduction::sum);
    } else {
      communicator.barrier();
    }
  });
  for (const std::string& text : texts) {
    EXPECT_NE(text.find("the same collective on all ranks"), std::string::npos) << text;
  }
}

TEST(ThreadCommunicator, DifferentSizesAndRootsFailOnAllRanks) {
  for (const bool other_root : {false, true}) {
    auto communicators = make_thread_communicators(2);
    const auto texts = texts_of(communicators, [&](Communicator<Cpu>& communicator) {
      std::vector<std::byte> bytes(other_root || communicator.rank() == 0 ? 8 : 16);
      communicator.broadcast(bytes, other_root ? communicator.rank() : 0);
    });
    for (const std::string& text : texts) {
      EXPECT_NE(text.find("broadcast"), std::string::npos) << text;
    }
  }
}

TEST(ThreadCommunicator, PartsOfOtherSizesThanExpectedFailOnAllRanks) {
  auto communicators = make_thread_communicators(3);
  const auto texts = texts_of(communicators, [](Communicator<Cpu>& communicator) {
    // Rank 0 sends 4 bytes to every rank; rank 2 expects 8 bytes from rank 0.
    Stream<Cpu> stream;
    const std::int64_t sends = communicator.rank() == 0 ? 4 : 0;
    const std::vector<std::int64_t> send_bytes(3, sends);
    const std::vector<std::int64_t> receive_bytes{communicator.rank() == 2 ? 8 : 4, 0, 0};
    std::vector<std::byte> send(static_cast<std::size_t>(3 * sends)), receive(8);
    communicator.all_to_all(stream, send, send_bytes, receive, receive_bytes);
  });
  EXPECT_EQ(texts,
            std::vector<std::string>(3, "all_to_all: rank 2 expects 8 bytes of rank 0: found 4"));
}

TEST(RunRanks, ThrowsWhatTheFirstFailingRankThrew) {
  try {
    run_ranks(3, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
      require(communicator.rank() != 1, Kind::io, "the disk is full");
      communicator.barrier();
    });
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::io);
    EXPECT_EQ(error.text(), "the disk is full");
  }
}

}  // namespace
}  // namespace keyshard::testing
