// The judgement of beats, by hand-made times.
#include "collectives/stuck_detector.hpp"

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

}  // namespace
}  // namespace keyshard
