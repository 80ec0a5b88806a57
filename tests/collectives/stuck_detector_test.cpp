// What the detector finds from beats at times that the test chooses.
#include "collectives/stuck_detector.hpp"

#include <random>
#include <string>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

constexpr StuckLimits kLimits{10, 100};

Beat works(Phase phase, std::uint64_t counter) { return {phase, 0, counter, 0}; }

Beat waits(std::uint64_t counter, std::uint64_t collectives) {
  return {Phase::exchanging, 1, counter, collectives};
}

std::string message_at(const StuckDetector& detector, double now) {
  const auto stuck = detector.find(now);
  return stuck ? stuck->message : "";
}

TEST(StuckDetector, BlamesNobodyWhileAllAdvance) {
  StuckDetector detector(2, kLimits);
  for (int second = 1; second < 50; ++second) {
    detector.hear(0, works(Phase::computing, static_cast<std::uint64_t>(second)), second);
    detector.hear(1, works(Phase::exchanging, static_cast<std::uint64_t>(second)), second);
    EXPECT_EQ(message_at(detector, second), "");
  }
}

TEST(StuckDetector, BlamesARankWhoseBeatsStopWhateverItsPhase) {
  StuckDetector detector(2, kLimits);
  detector.hear(1, works(Phase::reading, 1), 5);
  for (int second = 1; second < 15; ++second) {
    detector.hear(0, waits(1, 1), second);
    EXPECT_EQ(message_at(detector, second), "");
  }
  detector.hear(0, waits(1, 1), 15);
  EXPECT_EQ(message_at(detector, 15),
            "rank 1 is stuck in phase reading for 10 s (its process gives no sign of life)");
  EXPECT_FALSE(detector.is_heard(1, 15));
  EXPECT_TRUE(detector.is_heard(0, 15));
}

TEST(StuckDetector, BlamesTheRankThatStandsAndNotThoseThatWaitForIt) {
  StuckDetector detector(3, kLimits);
  for (int second = 0; second <= 10; ++second) {
    detector.hear(0, waits(7, 4), second);
    detector.hear(1, works(Phase::saving, 3), second);
    detector.hear(2, waits(7, 4), second);
    EXPECT_EQ(message_at(detector, second),
              second < 10 ? "" : "rank 1 is stuck in phase saving for 10 s (no progress)");
  }
}

TEST(StuckDetector, GivesSlowPhasesTheirOwnLimit) {
  for (const Phase phase :
       {Phase::reading, Phase::indexing, Phase::unpacking, Phase::syncing, Phase::loading}) {
    StuckDetector detector(2, kLimits);
    for (int second = 1; second <= 100; ++second) {
      detector.hear(0, waits(1, 1), second);
      detector.hear(1, works(phase, 1), second);
      EXPECT_EQ(message_at(detector, second), "");
    }
    detector.hear(0, waits(1, 1), 101);
    detector.hear(1, works(phase, 1), 101);
    EXPECT_EQ(message_at(detector, 101), std::string("rank 1 is stuck in phase ") + name_of(phase) +
                                             " for 100 s (no progress)");
  }
}

TEST(StuckDetector, BlamesTheFewestCollectivesWhereAllWait) {
  StuckDetector detector(3, kLimits);
  for (int second = 0; second <= 10; ++second) {
    detector.hear(0, waits(9, 5), second);
    detector.hear(1, waits(9, 4), second);
    detector.hear(2, waits(9, 5), second);
  }
  EXPECT_EQ(message_at(detector, 9.5), "");
  EXPECT_EQ(detector.find(10)->rank, 1);
}

TEST(StuckDetector, ForgivesARankThatAdvancesAgain) {
  StuckDetector detector(1, kLimits);
  detector.hear(0, works(Phase::computing, 1), 0);
  detector.hear(0, works(Phase::computing, 1), 10);
  EXPECT_TRUE(detector.find(10).has_value());
  detector.hear(0, works(Phase::computing, 2), 11);
  EXPECT_FALSE(detector.find(11).has_value());
}

TEST(StuckLimits, PhasesThatWaitForADiskOrUnpackHaveTheLongerOne) {
  for (std::uint32_t number = 0; number <= static_cast<std::uint32_t>(Phase::ending); ++number) {
    const auto phase = static_cast<Phase>(number);
    const bool slow = phase == Phase::reading || phase == Phase::indexing ||
                      phase == Phase::unpacking || phase == Phase::syncing ||
                      phase == Phase::loading;
    EXPECT_EQ(kLimits.of(phase), slow ? 100 : 10) << name_of(phase);
    // Never less than the limit for all phases.
    EXPECT_EQ((StuckLimits{30, 5}).of(phase), 30) << name_of(phase);
  }
}

/// What the detector has heard of a rank, for rules written as stuck_detector.hpp states them.
struct Heard {
  Beat beat;
  double last_beat = 0;
  double last_advance = 0;
};

/// The rank to blame by rules (1), (2) and (3), or -1.
int slow_find(const std::vector<Heard>& ranks, double now) {
  int fewest = 0;
  bool all_wait_and_stand = true;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    if (now - ranks[r].last_beat >= kLimits.seconds) {
      return static_cast<int>(r);
    }
  }
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const double stands = now - ranks[r].last_advance;
    if (ranks[r].beat.waiting == 0 && stands >= kLimits.of(ranks[r].beat.phase)) {
      return static_cast<int>(r);
    }
    all_wait_and_stand &= ranks[r].beat.waiting == 1 && stands >= kLimits.seconds;
    if (ranks[r].beat.collectives < ranks[static_cast<std::size_t>(fewest)].beat.collectives) {
      fewest = static_cast<int>(r);
    }
  }
  return all_wait_and_stand ? fewest : -1;
}

TEST(StuckDetector, JudgesRandomBeatsByTheRulesOfItsHeader) {
  int blamed = 0;
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    StuckDetector detector(3, kLimits);
    std::vector<Heard> ranks(3);
    for (double now = 1; now <= 40; now += 1) {
      for (int rank = 0; rank < 3; ++rank) {
        Heard& heard = ranks[static_cast<std::size_t>(rank)];
        const bool cut_off = seed % 3 == 0 && rank == 1 && now > 20;
        if (cut_off || random() % 8 == 0) {
          continue;  // no beat in this second
        }
        heard.last_beat = now;
        if (random() % 12 == 0) {
          heard.beat = {static_cast<Phase>(random() % 11), static_cast<std::uint32_t>(random() % 2),
                        heard.beat.counter + 1, heard.beat.collectives + random() % 2};
          heard.last_advance = now;
        }
        detector.hear(rank, heard.beat, now);
      }
      const std::optional<StuckRank> stuck = detector.find(now);
      ASSERT_EQ(stuck ? stuck->rank : -1, slow_find(ranks, now)) << "seed " << seed << ", " << now;
      blamed += stuck ? 1 : 0;
    }
  }
  EXPECT_GT(blamed, 100) << "the beats are too lively to show anything";
}

}  // namespace
}  // namespace keyshard
