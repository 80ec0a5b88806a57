// Faults that a device would punish, each found by the simulated lanes.
#include <atomic>

#include "runtime/atomic_word.hpp"
#include "runtime/for_each_cuda.hpp"
#include "tests/sim/sim_test.hpp"

namespace keyshard {
namespace {

/// A device that a fault makes lost.
class LostDevice : public ::testing::Test {
 protected:
  void SetUp() override { sim::reset_device({}); }

  /// Runs `launches` with `seeds` seeds; returns with how many of them the device was lost, and
  /// what it said last.
  template <class Launches>
  int lost(int seeds, const Launches& launches) {
    int count = 0;
    for (int seed = 1; seed <= seeds; ++seed) {
      sim::reset_device({.seed = static_cast<std::uint64_t>(seed)});
      try {
        Stream<Cuda> stream(0);
        launches(stream);
        stream.wait();
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Kind::device);
        failure_ = sim::device_failure();
        count += failure_.empty() ? 0 : 1;
      }
    }
    sim::reset_device({});
    return count;
  }

  std::string failure_;
};

/// A collective that only some lanes reach.
struct InBranch {
  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t, const Team& team) const {
    if (team.thread_rank() < 3) {
      team.sync();
    }
  }
};

TEST_F(LostDevice, ACollectiveInABranchIsFound) {
  EXPECT_EQ(lost(20, [](auto& stream) { for_each_row(stream, 1, InBranch{}); }), 20);
  EXPECT_NE(failure_.find("blocks_test.cpp:"), std::string::npos) << failure_;
}

/// A lane that leaves before the others meet.
struct LeavesEarly {
  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t, const Team& team) const {
    if (team.thread_rank() == 3) {
      return;
    }
    team.sync();
  }
};

TEST_F(LostDevice, ALaneThatLeavesBeforeACollectiveIsFound) {
  EXPECT_EQ(lost(20, [](auto& stream) { for_each_row(stream, 1, LeavesEarly{}); }), 20);
  EXPECT_NE(failure_.find("lane"), std::string::npos) << failure_;
}

/// Lanes that are at two different collectives.
struct TwoCollectives {
  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t, const Team& team) const {
    if (team.thread_rank() % 2 == 0) {
      team.sync();
    } else {
      team.any(true);
    }
  }
};

TEST_F(LostDevice, LanesAtTwoCollectivesAreFound) {
  EXPECT_EQ(lost(20, [](auto& stream) { for_each_row(stream, 1, TwoCollectives{}); }), 20);
  EXPECT_NE(failure_.find("a collective in a branch"), std::string::npos) << failure_;
}

struct WriteFrom {
  std::int64_t* out;
  std::int64_t first;

  KEYSHARD_HD void operator()(std::int64_t i) const { out[first + i] = i; }
};

TEST_F(LostDevice, AWriteBehindTheEndOfABufferIsFound) {
  EXPECT_EQ(lost(20,
                 [](auto& stream) {
                   Buffer<std::int64_t, Cuda> buffer(stream, 3);
                   for_each(stream, 3, WriteFrom{buffer.data(), 1});
                 }),
            20);
  EXPECT_NE(failure_.find(sim::kHooks ? "a kernel writes 8 bytes that are no memory of the device"
                                      : "behind the end of an allocation of 24 bytes"),
            std::string::npos)
      << failure_;
}

/// What all lanes claim, without and with an atomic.
template <bool kAtomic>
struct Claim {
  std::uint32_t* owner;  ///< 0: free
  std::uint32_t* claims;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const AtomicWord word(*owner);
    const auto mine = static_cast<std::uint32_t>(i) + 1;
    std::uint32_t expected = 0;
    if (kAtomic ? word.compare_exchange(expected, mine) : word.load() == 0) {
      if (!kAtomic) {
        sim::point();
        *owner = mine;
      }
      AtomicWord(*claims).fetch_add(1);
    }
  }
};

/// With how many of 20 seeds not just one lane has claimed the word, or a race was seen.
template <bool kAtomic>
int wrong_claims() {
  int wrong = 0;
  for (int seed = 1; seed <= 20; ++seed) {
    sim::reset_device({.seed = static_cast<std::uint64_t>(seed)});
    const int races = sim::races();
    Stream<Cuda> stream(0);
    Buffer<std::uint32_t, Cuda> words(stream, 2);
    fill_zero(stream, words.data(), 2);
    for_each(stream, 33, Claim<kAtomic>{words.data(), words.data() + 1});
    const bool one = value_at(stream, words.data() + 1) == 1;
    wrong += one && sim::races() == races ? 0 : 1;
  }
  return wrong;
}

TEST_F(LostDevice, AClaimByLoadAndStoreIsSeenToGoWrong) {
  EXPECT_GE(wrong_claims<false>(), 5);
  EXPECT_EQ(wrong_claims<true>(), 0);
}

/// Adds to one word in plain memory from all lanes.
struct CountInPlainMemory {
  std::int64_t* count;

  KEYSHARD_HD void operator()(std::int64_t) const { *count = *count + 1; }
};

TEST_F(LostDevice, ACountInPlainMemoryGoesWrongWhereAccessesAreSeen) {
  if (!sim::kHooks && !sim::kTsan) {
    GTEST_SKIP() << "only the modes hooks and tsan see a plain access";
  }
  int wrong = 0;
  for (int seed = 1; seed <= 20; ++seed) {
    sim::reset_device({.seed = static_cast<std::uint64_t>(seed)});
    const int races = sim::races();
    Stream<Cuda> stream(0);
    Buffer<std::int64_t, Cuda> count(stream, 1);
    fill_zero(stream, count.data(), 1);
    for_each(stream, 33, CountInPlainMemory{count.data()});
    wrong += value_at(stream, count.data()) != 33 || sim::races() > races ? 1 : 0;
  }
  EXPECT_GE(wrong, sim::kHooks ? 20 : 1);  // a race of one place is not reported every time
}

/// Hands a number from lane 0 to all lanes through memory.
template <bool kSync>
struct HandOver {
  std::int64_t* word;
  std::int64_t* out;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t, const Team& team) const {
    if (team.thread_rank() == 0) {
      *word = 7;
    }
    kSync ? team.sync() : static_cast<void>(team.any(true));  // a vote orders no memory
    out[team.thread_rank()] = *word;
  }
};

template <bool kSync>
int races_of_hand_over() {
  const int before = sim::races();
  Stream<Cuda> stream(0);
  Buffer<std::int64_t, Cuda> word(stream, 1), out(stream, 32);
  for_each_row(stream, 1, HandOver<kSync>{word.data(), out.data()});
  stream.wait();
  return sim::races() - before;
}

TEST_F(LostDevice, AVoteInThePlaceOfASyncIsARace) {
  if (!sim::kTsan) {
    GTEST_SKIP() << "only the mode tsan sees what orders memory";
  }
  EXPECT_EQ(races_of_hand_over<true>(), 0);
  EXPECT_GE(races_of_hand_over<false>(), 1);
}

/// Hands a number from one lane to the others by a word that orders no other memory.
struct Publish {
  std::uint32_t* flag;
  std::int64_t* number;
  std::int64_t* out;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const AtomicWord word(*flag);
    if (i == 0) {
      *number = 7;
      word.fetch_or(1);
    } else if (word.load() != 0) {
      out[i] = *number;
    }
  }
};

TEST_F(LostDevice, AWordThatIsPublishedRelaxedIsARace) {
  if (!sim::kTsan) {
    GTEST_SKIP() << "only the mode tsan sees what orders memory";
  }
  const int before = sim::races();
  for (int seed = 1; seed <= 20; ++seed) {
    sim::reset_device({.seed = static_cast<std::uint64_t>(seed)});
    Stream<Cuda> stream(0);
    Buffer<std::uint32_t, Cuda> flag(stream, 1);
    Buffer<std::int64_t, Cuda> number(stream, 1), out(stream, 64);
    fill_zero(stream, flag.data(), 1);
    for_each(stream, 64, Publish{flag.data(), number.data(), out.data()});
    stream.wait();
  }
  EXPECT_GE(sim::races() - before, 1);  // a race of one place is not reported every time
}

struct ReadWord {
  const std::int64_t* from;
  std::int64_t* to;

  KEYSHARD_HD void operator()(std::int64_t i) const { to[i] = *from; }
};

TEST_F(LostDevice, AKernelThatReadsMemoryOfTheHostIsFound) {
  if (!sim::kHooks) {
    GTEST_SKIP() << "only the mode hooks sees which memory a kernel reads";
  }
  const std::int64_t host = 3;
  EXPECT_EQ(lost(20,
                 [&](auto& stream) {
                   Buffer<std::int64_t, Cuda> out(stream, 3);
                   for_each(stream, 3, ReadWord{&host, out.data()});
                 }),
            20);
  EXPECT_NE(failure_.find("a kernel reads 8 bytes that are no memory of the device"),
            std::string::npos)
      << failure_;
}

TEST_F(LostDevice, AMisalignedAccessIsFound) {
  if (!sim::kHooks) {
    GTEST_SKIP() << "only the mode hooks sees addresses";
  }
  EXPECT_EQ(
      lost(20,
           [](auto& stream) {
             Buffer<std::int64_t, Cuda> in(stream, 3), out(stream, 1);
             const auto* odd = reinterpret_cast<const std::byte*>(in.data()) + 4;
             for_each(stream, 1, ReadWord{reinterpret_cast<const std::int64_t*>(odd), out.data()});
           }),
      20);
  EXPECT_NE(failure_.find("misaligned"), std::string::npos) << failure_;
}

/// A number that lane 0 alone has, and one that it hands to all lanes.
template <bool kShared>
struct FromLaneZero {
  std::int64_t* out;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t, const Team& team) const {
    const std::int64_t mine = team.thread_rank() == 0 ? 7 : 0;
    out[team.thread_rank()] = kShared ? team.shfl(mine, 0) : mine;
  }
};

TEST_F(LostDevice, LanesHaveValuesOfTheirOwnUntilTheyExchangeThem) {
  Stream<Cuda> stream(0);
  Buffer<std::int64_t, Cuda> out(stream, 32);
  for_each_row(stream, 1, FromLaneZero<false>{out.data()});
  std::vector<std::int64_t> expected(32);
  expected[0] = 7;
  EXPECT_EQ(to_host(stream, out), expected);
  for_each_row(stream, 1, FromLaneZero<true>{out.data()});
  EXPECT_EQ(to_host(stream, out), std::vector<std::int64_t>(32, 7));
}

}  // namespace
}  // namespace keyshard
