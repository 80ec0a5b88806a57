#include "launch/training/models/parameters.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

Parameters example(bool reversed) {
  Parameters parameters;
  if (reversed) {
    parameters.add("gamma1", 1, 5, InitialValue::ones);
  }
  parameters.add("W1", 60, 40, InitialValue::glorot_uniform);
  parameters.add("b1", 1, 40, InitialValue::zeros);
  if (!reversed) {
    parameters.add("gamma1", 1, 5, InitialValue::ones);
  }
  return parameters;
}

TEST(Parameters, LieOneAfterAnotherWithoutGaps) {
  const Parameters parameters = example(false);
  EXPECT_EQ(parameters.size(), 60 * 40 + 40 + 5);
  EXPECT_EQ(parameters.named("b1").offset, 60 * 40);
  EXPECT_EQ(parameters[2].name, "gamma1");
  EXPECT_EQ(parameters[2].offset, 60 * 40 + 40);
  EXPECT_THROW(parameters.named("b2"), Error);
}

TEST(Parameters, InitialValuesDependOnSeedAndNameAlone) {
  const Parameters parameters = example(false);
  const Parameters other = example(true);
  const std::vector<float> a = parameters.initial_values(7);
  const std::vector<float> b = other.initial_values(7);
  const std::int64_t first = other.named("W1").offset;
  EXPECT_TRUE(std::equal(a.begin(), a.begin() + 60 * 40, b.begin() + first));
  EXPECT_EQ(a, parameters.initial_values(7));
  EXPECT_NE(a, parameters.initial_values(8));
}

TEST(Parameters, WeightsAreGlorotUniformAndBiasesZero) {
  const std::vector<float> values = example(false).initial_values(3);
  const float bound = std::sqrt(6.0f / 100.0f);
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < 2400; ++i) {
    ASSERT_LE(std::fabs(values[i]), bound);
    sum += static_cast<double>(values[i]);
    squares += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  // Five standard errors of the mean; the variance of a uniform number is bound^2 / 3.
  EXPECT_NEAR(sum / 2400, 0, 5 * std::sqrt(0.02 / 2400));
  EXPECT_NEAR(squares / 2400, 0.02, 0.002);
  EXPECT_EQ(values[2400], 0.0f);
  EXPECT_EQ(values.back(), 1.0f);
}

}  // namespace
}  // namespace keyshard
