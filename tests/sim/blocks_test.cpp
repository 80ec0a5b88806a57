// Faults that a device would punish, each found by the simulated lanes.
#include <atomic>

#include "runtime/atomic_word.hpp"
#include "runtime/for_each_cuda.hpp"
#include "tests/sim/sim_test.hpp"

namespace keyshard {
namespace {

/// On a device that a fault has made lost.
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
  EXPECT_NE(failure_.find("behind the end of an allocation of 24 bytes"), std::string::npos)
      << failure_;
}

/// What all lanes claim, without and with an atomic.
template <bool atomic>
struct Claim {
  std::uint32_t* owner;  ///< 0: free
  std::uint32_t* claims;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const AtomicWord word(*owner);
    std::uint32_t expected = 0;
    if (atomic ? word.compare_exchange(expected, static_cast<std::uint32_t>(i) + 1)
               : word.load() == 0) {
      if (!atomic) {
        sim::point();
        *owner = static_cast<std::uint32_t>(i) + 1;
      }
      AtomicWord(*claims).fetch_add(1);
    }
  }
};

template <bool atomic>
int double_claims(int seeds) {
  int wrong = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    sim::reset_device({.seed = static_cast<std::uint64_t>(seed)});
    Stream<Cuda> stream(0);
    Buffer<std::uint32_t, Cuda> words(stream, 2);
    fill_zero(stream, words.data(), 2);
    for_each(stream, 33, Claim<atomic>{words.data(), words.data() + 1});
    wrong += value_at(stream, words.data() + 1) != 1 ? 1 : 0;
  }
  return wrong;
}

TEST_F(LostDevice, AClaimByLoadAndStoreIsSeenToGoWrong) {
  EXPECT_GE(double_claims<false>(20), 5);
  EXPECT_EQ(double_claims<true>(20), 0);
}

/// A sum whose result only lane 0 has, used by all lanes.
struct OnlyInLaneZero {
  std::int64_t* out;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t, const Team& team) const {
    const std::int64_t mine = team.thread_rank() == 0 ? 7 : 0;
    out[team.thread_rank()] = mine;
  }
};

struct ToAllLanes {
  std::int64_t* out;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t, const Team& team) const {
    out[team.thread_rank()] = team.shfl(team.thread_rank() == 0 ? std::int64_t{7} : 0, 0);
  }
};

TEST_F(LostDevice, LanesHaveValuesOfTheirOwnUntilTheyExchangeThem) {
  Stream<Cuda> stream(0);
  Buffer<std::int64_t, Cuda> out(stream, 32);
  for_each_row(stream, 1, OnlyInLaneZero{out.data()});
  std::vector<std::int64_t> expected(32);
  expected[0] = 7;
  EXPECT_EQ(to_host(stream, out), expected);
  for_each_row(stream, 1, ToAllLanes{out.data()});
  EXPECT_EQ(to_host(stream, out), std::vector<std::int64_t>(32, 7));
}

}  // namespace
}  // namespace keyshard
