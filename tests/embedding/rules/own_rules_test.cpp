// The registry of a program's rules: what it refuses, and rules that configurations name.
#include "embedding/rules/own_rules.hpp"

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "runtime/json.hpp"
#include "tests/support/own_rules.hpp"

namespace keyshard::testing {
namespace {

/// The message of an Error{invalid_argument}.
template <class Body>
std::string message_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::invalid_argument);
    return error.text();
  }
  return "no error";
}

/// A second momentum, which takes the name of the built-in one.
struct SecondMomentum : Momentum {};

/// As Uniform, but an own one.
struct OwnUniform {
  float low = -2, high = 4;

  float operator()(std::uint32_t word, std::int64_t column) const {
    return Uniform{low, high}.at<float>(word, column);
  }
};

TEST(OwnRules, AreReadByTheirNamesWithTheirFields) {
  const OwnRules own = own_rules();
  const SettingValue tree = parse_json(R"({"type": "doubling", "learning_rate": 0.25})", "a.json");
  const Optimizer optimizer = optimizer_of(tree, own);
  EXPECT_STREQ(name_of(optimizer), "doubling");
  EXPECT_EQ(learning_rate_of(optimizer), 0.25f);
  EXPECT_EQ(json_text(optimizer_tree(optimizer)), R"({"type":"doubling","learning_rate":0.25})");
  const InitialValues initial =
      initializer_of(parse_json(R"({"type": "keyed_row", "times": 3})", "a.json"), 2, own);
  EXPECT_EQ(json_text(initializer_tree(initial, 2)), R"({"type":"keyed_row","times":3.0})");
  EXPECT_STREQ(name_of(any_combiner_of("last_minus_first", own)), "last_minus_first");
  EXPECT_STREQ(name_of(any_combiner_of("mean", own)), "mean");
  EXPECT_STREQ(name_of(policy_of("freshness", own)), "freshness");
  EXPECT_STREQ(name_of(policy_of("frequency", own)), "frequency");
  EXPECT_EQ(shard_of(chosen_partitioner(partitioner_choice("by_eight", own), "table"), 17), 2u);
}

TEST(OwnRules, AnUnknownNameIsRefusedWithThoseThatAreRegistered) {
  const OwnRules own = own_rules();
  const auto refused = [&](const auto& read, const char* nearest) {
    const std::string text = message_of(read);
    EXPECT_NE(text.find(nearest), std::string::npos) << text;
  };
  refused([&] { optimizer_of(parse_json(R"({"type": "doublin"})", "a.json"), own); },
          "did you mean \"doubling\"?");
  refused([&] { initializer_of(parse_json(R"({"type": "keyed_rwo"})", "a.json"), 2, own); },
          "did you mean \"keyed_row\"?");
  refused([&] { any_combiner_of("last_minus_frist", own); }, "did you mean \"last_minus_first\"?");
  refused([&] { partitioner_choice("by_eihgt", own); }, "did you mean \"by_eight\"?");
  refused([&] { policy_of("freshnes", own); }, "did you mean \"freshness\"?");
  refused([&] { optimizer_of(parse_json(R"({"type": "doubling"})", "a.json")); },
          "expected an optimizer of sgd, ");
}

TEST(OwnRules, AKeyThatARuleDoesNotHaveIsRefused) {
  const std::string text = message_of([] {
    optimizer_of(parse_json(R"({"type": "doubling", "learning_rat": 1})", "a.json"), own_rules());
  });
  EXPECT_NE(text.find("did you mean \"learning_rate\"?"), std::string::npos) << text;
}

TEST(OwnRules, RegisterANewNameEach) {
  const auto read = [](const OwnRules& own) {
    return message_of([&] { optimizer_of(parse_json(R"({"type": "sgd"})", "a.json"), own); });
  };
  EXPECT_EQ(read({.optimizers = {own_optimizer(SecondMomentum{})}}),
            "expected a new name for an optimizer that a program registers: found \"momentum\", "
            "which exists");
  EXPECT_EQ(read({.optimizers = {own_optimizer(UnnamedOptimizer{})}}),
            "expected a name (kName) for an optimizer that a program registers: found none");
  EXPECT_EQ(read({.optimizers = {own_optimizer(Doubling{}), own_optimizer(Doubling{})}}),
            "expected a new name for an optimizer that a program registers: found \"doubling\", "
            "which exists");
}

TEST(OwnRules, AnInitializerOfWordsHasTheBitsOfTheBuiltInOne) {
  const OwnInitializer own = own_initializer(OwnUniform{});
  float expected[7], found[7];
  initialize_row(Solo{}, Uniform{-2, 4}, 5, 6, 7, expected);
  initialize_row(Solo{}, own, 5, 6, 7, found);
  EXPECT_EQ(std::vector<float>(found, found + 7), std::vector<float>(expected, expected + 7));
}

TEST(OwnRules, AnOptimizerHasTheStatesAndTheClockOfItsStruct) {
  const auto columns = state_columns(own_optimizer(Doubling{}), 5);
  ASSERT_EQ(columns.size(), 2u);
  EXPECT_EQ(columns[0].name, "count");
  EXPECT_EQ(columns[0].width, 1);
  EXPECT_EQ(columns[1].name, "seen");
  EXPECT_EQ(columns[1].width, 5);
  EXPECT_EQ(columns[1].initial, 3.0f);
  OptimizerClock clock(own_optimizer(Doubling{}));
  EXPECT_EQ(clock.tick(1).factors[0], 2.0f);
  EXPECT_EQ(clock.tick(1).factors[0], 4.0f);
  EXPECT_EQ(clock.numbers(), std::vector<double>{4});
}

TEST(OwnRules, APartitionerIsCheckedForItsRange) {
  const Partitioner partitioner = own_partitioner(ByEight{});
  EXPECT_EQ(shard_of(partitioner, 8191), 1023u);
  EXPECT_EQ(message_of([&] { shard_of(partitioner, 8192); }),
            "expected a partitioner that maps every key to a shard from 0 to 1023: found shard "
            "1024 for key 8192 by by_eight");
}

}  // namespace
}  // namespace keyshard::testing
