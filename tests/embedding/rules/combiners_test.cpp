// The table of combiners: names, and that each number of the variant stands for the same combiner
// everywhere.
#include "embedding/rules/combiners.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "embedding/lookup/gradient_functors.hpp"
#include "embedding/rules/family.hpp"
#include "runtime/error.hpp"
#include "tests/support/lanes.hpp"

namespace keyshard {
namespace {

constexpr std::size_t kCombiners = std::variant_size_v<Combiner>;

Combiner combiner_at(std::size_t index) {
  Combiner result;
  with_alternative<Combiner>(index, [&](auto combiner) { result = combiner; });
  return result;
}

TEST(Combiner, HasOneNameOfItsOwnPerAlternative) {
  ASSERT_EQ(combiner_names().size(), kCombiners);
  EXPECT_EQ(std::set<std::string>(combiner_names().begin(), combiner_names().end()).size(),
            kCombiners);
  for (std::size_t index = 0; index < kCombiners; ++index) {
    EXPECT_EQ(name_of(combiner_at(index)), combiner_names()[index]);
    EXPECT_EQ(combiner_of(combiner_names()[index]).index(), index);
  }
}

TEST(Combiner, IsFoundByTheNamesOfTheContract) {
  EXPECT_TRUE(std::holds_alternative<Sum>(combiner_of("sum")));
  EXPECT_TRUE(std::holds_alternative<Mean>(combiner_of("mean")));
  EXPECT_TRUE(std::holds_alternative<Min>(combiner_of("min")));
  EXPECT_TRUE(std::holds_alternative<Max>(combiner_of("max")));
  EXPECT_TRUE(std::holds_alternative<SqrtN>(combiner_of("sqrtn")));
  EXPECT_TRUE(std::holds_alternative<SqrtN>(combiner_of("sqrt_n")));
}

/// What combiner_of refuses a name with.
std::pair<Kind, std::string> refusal_of(const std::string& name) {
  try {
    combiner_of(name);
  } catch (const Error& error) {
    return {error.kind(), error.text()};
  }
  return {Kind::io, "no refusal"};
}

TEST(Combiner, AnUnknownNameIsRefusedWithTheNearest) {
  const std::string names =
      "sum, mean, min, max, sqrtn, prod, variance, std, logsumexp, euclidean_norm";
  EXPECT_EQ(refusal_of("men"),
            std::pair(Kind::invalid_argument, "expected a combiner of " + names +
                                                  ": found \"men\"; did you mean \"mean\"?"));
}

TEST(Combiner, ThoseOfTruthValuesAreRefused) {
  EXPECT_EQ(refusal_of("any").first, Kind::invalid_argument);
  EXPECT_EQ(refusal_of("all").first, Kind::invalid_argument);
}

/// The gradient of the row 2 beside the row 4 in a bag of two, for the upstream 12.
float gradient_by_kind(CombinerKind kind) {
  float result = -1;
  with_alternative<Combiner>(kind, [&](auto c) {
    using C = decltype(c);
    const typename C::State state = C::add(C::start(2), 4);
    const float x = 2;
    const float upstream = 12;
    add_term<C>(&result, true, &upstream, &state, &x, 2, 1);
  });
  return result;
}

TEST(Combiner, TheNumberOfAnOccurrenceGivesTheGradientOfItsCombiner) {
  const auto gradient_of = [](const char* name) {
    return gradient_by_kind(static_cast<CombinerKind>(combiner_of(name).index()));
  };
  EXPECT_EQ(gradient_of("sum"), 12.0f);
  EXPECT_EQ(gradient_of("mean"), 6.0f);
  EXPECT_EQ(gradient_of("min"), 12.0f);
  EXPECT_EQ(gradient_of("max"), 0.0f);
  EXPECT_EQ(gradient_of("sqrtn"), 12.0f / std::sqrt(2.0f));
  EXPECT_EQ(gradient_of("prod"), 48.0f);
  EXPECT_EQ(gradient_of("variance"), -12.0f);
  EXPECT_EQ(gradient_of("std"), -6.0f);
  EXPECT_NEAR(gradient_of("logsumexp"), 12 / (1 + std::exp(2.0)), 1e-6);
  EXPECT_NEAR(gradient_of("euclidean_norm"), 24 / std::sqrt(20.0), 1e-6);
  // No combiner has this number: not even the last is taken.
  EXPECT_EQ(gradient_by_kind(kCombiners), -1.0f);
}

/// The state of a bag.
ProdState<float> product(const std::vector<float>& rows) {
  ProdState<float> state = Prod::start(rows.front());
  for (std::size_t i = 1; i < rows.size(); ++i) {
    state = Prod::add(state, rows[i]);
  }
  return state;
}

/// The gradients of the rows of a bag for the upstream g.
std::vector<float> product_gradients(float g, const std::vector<float>& rows) {
  const Prod::Back back = Prod::back(g, product(rows), static_cast<std::int64_t>(rows.size()));
  std::vector<float> gradients;
  for (const float x : rows) {
    gradients.push_back(Prod::gradient(back, x));
  }
  return gradients;
}

TEST(Prod, GivesEachRowTheProductOfTheOthers) {
  EXPECT_EQ(Prod::value(product({2, -3, 5}), 3), -30.0f);
  EXPECT_EQ(product_gradients(2, {2, -3, 5}), (std::vector<float>{-30, 20, -12}));
  EXPECT_EQ(product_gradients(0, {2, 3}), (std::vector<float>{0, 0}));
  EXPECT_EQ(product_gradients(7, {3}), std::vector<float>{7});
}

TEST(Prod, IsExactWithZeros) {
  EXPECT_EQ(Prod::value(product({2, 0, 5}), 3), 0.0f);
  EXPECT_EQ(product_gradients(3, {2, 0, 5}), (std::vector<float>{0, 30, 0}));
  EXPECT_EQ(product_gradients(3, {2, -0.0f, 5}), (std::vector<float>{0, 30, 0}));
  EXPECT_EQ(product_gradients(3, {0, 4, 0}), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(product_gradients(3, {0}), std::vector<float>{3});
}

TEST(Prod, OnlyItsResultMustBeInTheRangeOfFloats) {
  const std::vector<float> wide{0x1p100f, 0x1p100f, 0x1p-120f, 0x1p-120f};
  EXPECT_EQ(Prod::value(product(wide), 4), 0x1p-40f);
  EXPECT_EQ(product_gradients(1, {0x1p100f, 0x1p100f, 0x1p-100f}),
            (std::vector<float>{1, 1, std::numeric_limits<float>::infinity()}));
  EXPECT_EQ(Prod::value(product({0x1p-140f, 0x1p20f}), 2), 0x1p-120f);
}

TEST(Prod, MergesPartsOfABagAsOne) {
  const ProdState<float> whole = product({2, 0, -3, 5});
  const ProdState<float> merged = Prod::merge(product({2, 0}), product({-3, 5}));
  EXPECT_EQ(merged.mantissa, whole.mantissa);
  EXPECT_EQ(merged.exponent, whole.exponent);
  EXPECT_EQ(merged.zeros, whole.zeros);
}

TEST(Prod, WhatIsNotFiniteStaysSo) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(Prod::value(product({-2, kInfinity}), 2), -kInfinity);
  EXPECT_TRUE(std::isnan(Prod::value(product({0, kInfinity}), 2)));
  EXPECT_TRUE(std::isnan(Prod::value(product({2, std::nanf("")}), 2)));
  EXPECT_TRUE(std::isnan(product_gradients(std::nanf(""), {2, 3})[0]));
}

using Rows = std::vector<float>;

/// The state of a bag of any combiner.
template <class C>
typename C::State state_of(const Rows& rows) {
  typename C::State state = C::start(rows.front());
  for (std::size_t i = 1; i < rows.size(); ++i) {
    state = C::add(state, rows[i]);
  }
  return state;
}

template <class C>
float value_of(const Rows& rows) {
  return C::value(state_of<C>(rows), static_cast<std::int64_t>(rows.size()));
}

/// The gradients of the rows of a bag for the upstream g.
template <class C>
Rows gradients_of(float g, const Rows& rows) {
  const auto back = C::back(g, state_of<C>(rows), static_cast<std::int64_t>(rows.size()));
  Rows gradients;
  for (const float x : rows) {
    gradients.push_back(C::gradient(back, x));
  }
  return gradients;
}

/// The definition of a combiner, in double.
double defined(const std::string& name, const std::vector<double>& rows) {
  const auto n = static_cast<double>(rows.size());
  const auto sum = [&](auto term) {
    return std::accumulate(rows.begin(), rows.end(), 0.0,
                           [&](double all, double x) { return all + term(x); });
  };
  const double total = sum([](double x) { return x; });
  const double spread = sum([&](double x) { return (x - total / n) * (x - total / n); }) / n;
  const std::map<std::string, double> values{
      {"sum", total},
      {"mean", total / n},
      {"sqrtn", total / std::sqrt(n)},
      {"min", *std::min_element(rows.begin(), rows.end())},
      {"max", *std::max_element(rows.begin(), rows.end())},
      {"prod", std::accumulate(rows.begin(), rows.end(), 1.0, std::multiplies<>())},
      {"variance", spread},
      {"std", std::sqrt(spread)},
      {"logsumexp", std::log(sum([](double x) { return std::exp(x); }))},
      {"euclidean_norm", std::sqrt(sum([](double x) { return x * x; }))}};
  return values.at(name);
}

TEST(Combiner, ValuesAndGradientsAreThoseOfTheDefinition) {
  testing::for_alternatives<Combiner>([](auto combiner) {
    using C = decltype(combiner);
    SCOPED_TRACE(C::kName);
    for (unsigned seed = 0; seed < 20; ++seed) {
      const Rows rows = testing::random_floats(2 + seed % 7, seed);
      const std::vector<double> exact(rows.begin(), rows.end());
      EXPECT_NEAR(value_of<C>(rows), defined(C::kName, exact), 2e-6);
      const Rows gradients = gradients_of<C>(3, rows);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        constexpr double kStep = 1e-6;
        std::vector<double> up = exact, down = exact;
        up[i] += kStep;
        down[i] -= kStep;
        const double slope = 3 * (defined(C::kName, up) - defined(C::kName, down)) / (2 * kStep);
        EXPECT_NEAR(gradients[i], slope, 1e-5 * std::max(1.0, std::fabs(slope))) << i;
      }
    }
  });
}

TEST(Combiner, PartsOfABagMergeToTheWhole) {
  testing::for_alternatives<Combiner>([](auto combiner) {
    using C = decltype(combiner);
    SCOPED_TRACE(C::kName);
    const Rows rows = testing::random_floats(9, 5);
    for (std::ptrdiff_t cut = 1; cut < 9; ++cut) {
      const auto state = C::merge(state_of<C>(Rows(rows.begin(), rows.begin() + cut)),
                                  state_of<C>(Rows(rows.begin() + cut, rows.end())));
      EXPECT_NEAR(C::value(state, 9), value_of<C>(rows), 2e-6) << cut;
    }
  });
}

TEST(Moments, KeepWhatAMeanOfSquaresLoses) {
  EXPECT_EQ(value_of<Std>({10000, 10001}), 0.5f);
  EXPECT_EQ(value_of<Variance>({1e6f, 1e6f + 1, 1e6f + 2, 1e6f + 3}), 1.25f);
  EXPECT_EQ(gradients_of<Variance>(2, {10000, 10001}), (Rows{-1, 1}));
  EXPECT_EQ(gradients_of<Std>(2, {10000, 10001}), (Rows{-1, 1}));
  const MomentState merged = Std::merge(state_of<Std>({1, 2}), state_of<Std>({3, 4}));
  EXPECT_EQ(merged.count, 4);
  EXPECT_EQ(merged.mean, 2.5);
  EXPECT_EQ(merged.deviations, 5);
}

TEST(Moments, EqualRowsHaveNoSpreadAndNoGradient) {
  for (const Rows& rows : {Rows{3}, Rows{0.1f, 0.1f, 0.1f}, Rows(7, 1e30f), Rows{0, -0.0f}}) {
    EXPECT_EQ(value_of<Variance>(rows), 0.0f);
    EXPECT_EQ(value_of<Std>(rows), 0.0f);
    EXPECT_EQ(gradients_of<Variance>(5, rows), Rows(rows.size(), 0.0f));
    EXPECT_EQ(gradients_of<Std>(5, rows), Rows(rows.size(), 0.0f));
  }
  const MomentState state = state_of<Std>({0.1f, 0.1f});
  const MomentState merged = Std::merge(Std::merge(state, Std::start(0.1f)), state);
  EXPECT_EQ(Std::value(merged, 5), 0.0f);
  EXPECT_EQ(Std::gradient(Std::back(5, merged, 5), 0.1f), 0.0f);
}

TEST(Moments, OnlyTheirResultsMustBeInTheRangeOfFloats) {
  EXPECT_EQ(value_of<Std>({-0x1p100f, 0x1p100f}), 0x1p100f);
  EXPECT_EQ(value_of<Std>({-0x1p-100f, 0x1p-100f}), 0x1p-100f);
  EXPECT_EQ(value_of<EuclideanNorm>({3 * 0x1p100f, 4 * 0x1p100f}), 5 * 0x1p100f);
  EXPECT_EQ(gradients_of<EuclideanNorm>(5, {3 * 0x1p-100f, 4 * 0x1p-100f}), (Rows{3, 4}));
}

TEST(EuclideanNorm, OfZerosHasNoGradient) {
  EXPECT_EQ(value_of<EuclideanNorm>({0, -0.0f}), 0.0f);
  EXPECT_EQ(gradients_of<EuclideanNorm>(5, {0, -0.0f}), (Rows{0, 0}));
}

TEST(LogSumExp, IsFiniteForRowsWhoseExponentialsAreNot) {
  EXPECT_EQ(value_of<LogSumExp>({-1.25f}), -1.25f);
  EXPECT_NEAR(value_of<LogSumExp>({1000, 1000}), 1000 + std::log(2.0), 1e-4);
  EXPECT_NEAR(value_of<LogSumExp>({-1000, -1000}), -1000 + std::log(2.0), 1e-4);
  EXPECT_EQ(value_of<LogSumExp>({-1000, 1000}), 1000.0f);
  EXPECT_EQ(gradients_of<LogSumExp>(4, {1000, 1000}), (Rows{2, 2}));
  EXPECT_EQ(gradients_of<LogSumExp>(4, {-1000, 1000}), (Rows{0, 4}));
}

TEST(LogSumExp, TakesRowsThatAreNotFinite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(value_of<LogSumExp>({-kInfinity, 2, -kInfinity}), 2.0f);
  EXPECT_EQ(value_of<LogSumExp>({-kInfinity, -kInfinity}), -kInfinity);
  EXPECT_EQ(value_of<LogSumExp>({kInfinity, 2}), kInfinity);
  EXPECT_TRUE(std::isnan(value_of<LogSumExp>({2, std::nanf("")})));
  EXPECT_TRUE(std::isnan(value_of<LogSumExp>({std::nanf(""), 2})));
}

TEST(Combiner, StatesAndMessagesAreCountedInBytes) {
  EXPECT_EQ(state_bytes(Sum{}), 4);
  EXPECT_EQ(back_bytes(Mean{}), 4);
  EXPECT_EQ(state_bytes(Max{}), 8);
  EXPECT_EQ(back_bytes(Max{}), 8);
  EXPECT_EQ(state_bytes(Std{}), 24);
  EXPECT_EQ(back_bytes(Std{}), 16);
  EXPECT_EQ(combiner_alignment(Std{}), 8);
  EXPECT_EQ(combiner_alignment(LogSumExp{}), 4);
}

}  // namespace
}  // namespace keyshard
