// The table of combiners: names, and that each number of the variant stands for the same combiner
// everywhere.
#include "embedding/rules/combiners.hpp"

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "embedding/lookup/gradient_functors.hpp"
#include "embedding/rules/family.hpp"
#include "runtime/error.hpp"

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
  EXPECT_EQ(refusal_of("men"),
            std::pair(Kind::invalid_argument,
                      std::string(
                          "expected a combiner of sum, mean, min, max, sqrtn, prod: found \"men\"; "
                          "did you mean \"mean\"?")));
}

TEST(Combiner, OneOfTheContractThatIsNotBuiltIsToldSo) {
  EXPECT_EQ(refusal_of("variance"),
            std::pair(Kind::not_built,
                      std::string("combiner \"variance\" is not built in this version; built are "
                                  "sum, mean, min, max, sqrtn, prod")));
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
  // No combiner has this number: not even the last is taken.
  EXPECT_EQ(gradient_by_kind(kCombiners), -1.0f);
}

/// The state of a bag.
ProdState product(const std::vector<float>& rows) {
  ProdState state = Prod::start(rows.front());
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
  const ProdState whole = product({2, 0, -3, 5});
  const ProdState merged = Prod::merge(product({2, 0}), product({-3, 5}));
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

TEST(Combiner, StatesAndMessagesAreCountedInBytes) {
  EXPECT_EQ(state_bytes(Sum{}), 4);
  EXPECT_EQ(back_bytes(Mean{}), 4);
  EXPECT_EQ(state_bytes(Max{}), 8);
  EXPECT_EQ(back_bytes(Max{}), 8);
}

}  // namespace
}  // namespace keyshard
