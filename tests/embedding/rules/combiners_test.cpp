// The table of combiners: names, and that a number of the variant means its own combiner
// everywhere.
#include "embedding/rules/combiners.hpp"

#include <set>

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
  EXPECT_EQ(
      refusal_of("men"),
      std::pair(Kind::invalid_argument,
                std::string("expected a combiner of sum, mean, min, max, sqrtn: found \"men\"; "
                            "did you mean \"mean\"?")));
}

TEST(Combiner, OneOfTheContractThatIsNotBuiltIsToldSo) {
  EXPECT_EQ(refusal_of("variance"),
            std::pair(Kind::not_built,
                      std::string("combiner \"variance\" is not built in this version; built are "
                                  "sum, mean, min, max, sqrtn")));
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
  // Of none, and not of the last one.
  EXPECT_EQ(gradient_by_kind(kCombiners), -1.0f);
}

TEST(Combiner, StatesAndMessagesAreCountedInBytes) {
  EXPECT_EQ(state_bytes(Sum{}), 4);
  EXPECT_EQ(back_bytes(Mean{}), 4);
  EXPECT_EQ(state_bytes(Max{}), 8);
  EXPECT_EQ(back_bytes(Max{}), 8);
}

}  // namespace
}  // namespace keyshard
