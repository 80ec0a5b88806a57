#include "launch/training/models/dropout.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/team.hpp"

namespace keyshard {
namespace {

TEST(Dropout, ARowIsAPureFunctionOfSeedStepLayerSampleAndUnit) {
  const Dropout dropout(0.3);
  const std::uint64_t key = Dropout::row_key(1, 2, 3, 4);
  for (const std::int64_t units : {1, 3, 4, 10, 77}) {
    std::vector<float> row(static_cast<std::size_t>(units), 2.0f);
    dropout.apply(Solo{}, key, row.data(), units);
    for (std::int64_t j = 0; j < units; ++j) {
      EXPECT_EQ(row[static_cast<std::size_t>(j)],
                dropout.keeps(key, j) ? 2.0f * dropout.scale() : 0.0f);
    }
  }
}

TEST(Dropout, EverySingleInputChangesWhatIsDropped) {
  const Dropout dropout(0.5);
  const auto mask = [&](std::uint64_t key) {
    std::uint64_t bits = 0;
    for (std::int64_t unit = 0; unit < 64; ++unit) {
      bits = bits << 1 | (dropout.keeps(key, unit) ? 1u : 0u);
    }
    return bits;
  };
  const std::uint64_t base = mask(Dropout::row_key(1, 2, 3, 4));
  EXPECT_EQ(base, mask(Dropout::row_key(1, 2, 3, 4)));
  EXPECT_NE(base, mask(Dropout::row_key(0, 2, 3, 4)));
  EXPECT_NE(base, mask(Dropout::row_key(1, 0, 3, 4)));
  EXPECT_NE(base, mask(Dropout::row_key(1, 2, 0, 4)));
  EXPECT_NE(base, mask(Dropout::row_key(1, 2, 3, 0)));
}

TEST(Dropout, TheShareOfDroppedUnitsIsTheRateAndTheMeanStays) {
  constexpr int kUnits = 1000, kRows = 200;
  for (const double rate : {0.1, 0.5, 0.9}) {
    const Dropout dropout(rate);
    double sum = 0;
    int dropped = 0;
    for (int sample = 0; sample < kRows; ++sample) {
      std::vector<float> row(kUnits, 1.0f);
      dropout.apply(Solo{}, Dropout::row_key(9, 1, 0, sample), row.data(), kUnits);
      for (const float value : row) {
        sum += static_cast<double>(value);
        dropped += value == 0.0f;
      }
    }
    const double n = kUnits * kRows;
    const double error = 5 * std::sqrt(rate * (1 - rate) / n);  // five standard errors
    EXPECT_NEAR(dropped / n, rate, error);
    EXPECT_NEAR(sum / n, 1, error / (1 - rate));
  }
}

TEST(Dropout, OfNothingChangesNothing) {
  const Dropout dropout(0);
  EXPECT_FALSE(dropout.active());
  EXPECT_EQ(dropout.scale(), 1.0f);
}

}  // namespace
}  // namespace keyshard
