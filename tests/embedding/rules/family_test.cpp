// Rules by their names and fields, as TOML and JSON say them.
#include "embedding/rules/family.hpp"

#include <gtest/gtest.h>

#include "embedding/rules/initializers.hpp"
#include "embedding/rules/optimizers.hpp"
#include "embedding/rules/partitioners.hpp"
#include "runtime/error.hpp"
#include "runtime/json.hpp"
#include "tests/support/lanes.hpp"

namespace keyshard {
namespace {

Optimizer optimizer(const std::string& json) { return optimizer_of(parse_json(json, "rule.json")); }

InitialValues initial(const std::string& json, std::int64_t dim) {
  return initializer_of(parse_json(json, "rule.json"), dim);
}

/// Kind and text of what `read` throws.
template <class Read>
std::pair<Kind, std::string> refusal_of(const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    return {error.kind(), error.text()};
  }
  return {Kind::io, "no refusal"};
}

TEST(OptimizerTree, ReadsEveryKeyOfItsRule) {
  const auto momentum = std::get<Momentum>(optimizer(
      R"({"type": "momentum", "learning_rate": 0.5, "momentum": 0.25, "nesterov": true})"));
  EXPECT_EQ(momentum.learning_rate, 0.5f);
  EXPECT_EQ(momentum.momentum, 0.25f);
  EXPECT_TRUE(momentum.nesterov);
  const auto adam = std::get<Adam>(optimizer(
      R"({"type": "adam", "learning_rate": 2, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0})"));
  EXPECT_EQ(adam.learning_rate, 2.0f);
  EXPECT_EQ(adam.beta_1, 0.5);
  EXPECT_EQ(adam.beta_2, 0.75);
  EXPECT_EQ(adam.epsilon, 0.0f);
  const auto ftrl = std::get<Ftrl>(optimizer(
      R"({"type": "ftrl", "learning_rate": 1, "learning_rate_power": -0.25, "initial_accumulator": 2,
          "l1": 3, "l2": 4, "l2_shrinkage": 5, "beta": 6})"));
  EXPECT_EQ(ftrl.learning_rate_power, -0.25f);
  EXPECT_EQ(ftrl.initial_accumulator, 2.0f);
  EXPECT_EQ(ftrl.l1, 3.0f);
  EXPECT_EQ(ftrl.l2, 4.0f);
  EXPECT_EQ(ftrl.l2_shrinkage, 5.0f);
  EXPECT_EQ(ftrl.beta, 6.0f);
}

TEST(OptimizerTree, WhatIsNotGivenIsTheDefaultAsItIsWritten) {
  const auto report = std::make_shared<SettingsReport>();
  const SettingValue tree = parse_json(R"({"type": "adagrad"})", "");
  const auto adagrad =
      std::get<Adagrad>(read_optimizer(Settings(tree, "optimizer", report), Sgd{}));
  EXPECT_EQ(adagrad.learning_rate, 0.001);
  EXPECT_EQ(adagrad.initial_accumulator, 0.1);
  EXPECT_EQ(adagrad.epsilon, 1e-7);
  const auto told = [&](const char* key) {
    return std::get<double>(report->values.at(std::string("optimizer.") + key).value);
  };
  EXPECT_EQ(told("learning_rate"), 0.001);
  EXPECT_EQ(told("initial_accumulator"), 0.1);
  EXPECT_EQ(told("epsilon"), 1e-7);
}

TEST(OptimizerTree, EveryRuleIsReadBackAsItIsWritten) {
  testing::for_alternatives<BuiltInOptimizer>([](auto rule) {
    using Rule = decltype(rule);
    rule.learning_rate = 0.3;
    const std::string text = json_text(tree_of_rule(Rule::kName, rule));
    const Rule back = std::get<Rule>(optimizer(text));
    EXPECT_EQ(back.learning_rate, 0.3) << text;
    EXPECT_EQ(json_text(tree_of_rule(Rule::kName, back)), text);
    EXPECT_NE(json_text(tree_of_rule(Rule::kName, Rule{})), text);
  });
}

TEST(InitializerTree, EveryRuleIsReadBackAsItIsWritten) {
  for (const char* text :
       {R"({"type":"constant","value":0.1})", R"({"type":"constant","values":[0.5,2.0]})",
        R"({"type":"uniform","low":-0.3,"high":0.7})",
        R"({"type":"normal","mean":1.0,"stddev":0.1})",
        R"({"type":"truncated_normal","mean":-1.0,"stddev":0.25})"}) {
    EXPECT_EQ(json_text(initializer_tree(initial(text, 2), 2)), text);
  }
}

TEST(OptimizerTree, AllMistakesAreSaidAtOnce) {
  EXPECT_EQ(
      refusal_of([] { optimizer(R"({"type": "adam", "beta_1": 1.5, "epsilom": 0})"); }),
      std::pair(Kind::invalid_argument,
                std::string("rule.json: optimizer.beta_1: expected a number from 0 to 1: found "
                            "1.5\nrule.json: unknown key \"epsilom\" in [optimizer]; did you "
                            "mean \"epsilon\"?")));
}

TEST(OptimizerTree, EveryOptimizerOfTheContractIsKnownByItsName) {
  for (const char* name : {"sgd", "momentum", "adagrad", "rowwise_adagrad", "adagrad_da",
                           "adadelta", "adam", "amsgrad", "adamw", "adamax", "nadam", "rmsprop",
                           "ftrl", "proximal_sgd", "proximal_adagrad", "lamb"}) {
    EXPECT_STREQ(name_of(optimizer(fmt::format(R"({{"type": "{}"}})", name))), name);
  }
}

TEST(OptimizerTree, AnotherNameIsRefusedWithTheNearest) {
  const auto [kind, text] = refusal_of([] { optimizer(R"({"type": "adm"})"); });
  EXPECT_EQ(kind, Kind::invalid_argument);
  EXPECT_EQ(text.find("expected an optimizer of sgd, momentum, "), 0u) << text;
  EXPECT_NE(text.find(": found \"adm\"; did you mean \"adam\"?"), std::string::npos) << text;
}

TEST(OptimizerTree, AKeyOfAnotherOptimizerIsToldWhereItBelongs) {
  EXPECT_EQ(refusal_of([] { optimizer(R"({"type": "adam", "amsgrad": true})"); }),
            std::pair(Kind::invalid_argument,
                      std::string("rule.json: optimizer.amsgrad: expected type = \"amsgrad\" in "
                                  "place of this key")));
}

TEST(OptimizerTree, ReadsTheKeysOfTheLaterRules) {
  const auto rmsprop = std::get<RmsProp>(optimizer(
      R"({"type": "rmsprop", "learning_rate": 2, "rho": 0.5, "momentum": 0.25, "epsilon": 1,
          "centered": true, "initial_velocity": 3})"));
  EXPECT_EQ(rmsprop.learning_rate, 2.0f);
  EXPECT_EQ(rmsprop.rho, 0.5);
  EXPECT_EQ(rmsprop.momentum, 0.25);
  EXPECT_EQ(rmsprop.epsilon, 1.0);
  EXPECT_TRUE(rmsprop.centered);
  EXPECT_EQ(rmsprop.initial_velocity, 3.0);
  const auto lamb = std::get<Lamb>(
      optimizer(R"({"type": "lamb", "beta_1": 0.5, "beta_2": 0.75, "weight_decay": 2})"));
  EXPECT_EQ(lamb.beta_1, 0.5);
  EXPECT_EQ(lamb.beta_2, 0.75);
  EXPECT_EQ(lamb.epsilon, 1e-6);
  EXPECT_EQ(lamb.weight_decay, 2.0);
  EXPECT_EQ(std::get<AdamW>(optimizer(R"({"type": "adamw"})")).weight_decay, 0.004);
  const auto dual = std::get<AdagradDa>(
      optimizer(R"({"type": "adagrad_da", "initial_accumulator": 2, "l1": 3, "l2": 4})"));
  EXPECT_EQ(dual.initial_accumulator, 2.0f);
  EXPECT_EQ(dual.l1, 3.0f);
  EXPECT_EQ(dual.l2, 4.0f);
  EXPECT_EQ(std::get<ProximalSgd>(optimizer(R"({"type": "proximal_sgd", "l1": 3})")).l1, 3.0f);
  EXPECT_EQ(std::get<ProximalAdagrad>(optimizer(R"({"type": "proximal_adagrad", "l2": 4})")).l2,
            4.0f);
  EXPECT_EQ(std::get<Adadelta>(optimizer(R"({"type": "adadelta", "rho": 0.5})")).rho, 0.5);
  EXPECT_EQ(std::get<Adamax>(optimizer(R"({"type": "adamax", "beta_2": 0.5})")).beta_2, 0.5);
  EXPECT_EQ(std::get<AmsGrad>(optimizer(R"({"type": "amsgrad", "beta_1": 0.5})")).beta_1, 0.5);
}

TEST(OptimizerStates, AreNamedAndAsWideAsTheirRuleSays) {
  const auto columns = state_columns(RowwiseAdagrad{1, 7, 0}, 5);
  ASSERT_EQ(columns.size(), 1u);
  EXPECT_EQ(columns[0].name, "row_accumulator");
  EXPECT_EQ(columns[0].width, 1);
  EXPECT_EQ(columns[0].initial, 7.0f);
  const auto adam = state_columns(Adam{}, 5);
  ASSERT_EQ(adam.size(), 2u);
  EXPECT_EQ(adam[0].name, "m");
  EXPECT_EQ(adam[1].name, "v");
  EXPECT_EQ(adam[1].width, 5);
}

TEST(OptimizerStates, AreThoseThatTheOptionsNeed) {
  const auto names = [](const RmsProp& rule) {
    std::string all;
    for (const StateColumn& column : state_columns(rule, 3)) {
      all += fmt::format("{} {} {};", column.name, column.width, column.initial);
    }
    return all;
  };
  EXPECT_EQ(names({.initial_velocity = 1}), "velocity 3 1;");
  EXPECT_EQ(names({.momentum = 0.5f}), "velocity 3 0;momentum 3 0;");
  EXPECT_EQ(names({.momentum = 0.5f, .centered = true}),
            "velocity 3 0;average_gradient 3 0;momentum 3 0;");
}

TEST(OptimizersOfWholeRows, AreThoseWithSumsOverARow) {
  EXPECT_TRUE(needs_whole_row(RowwiseAdagrad{}));
  EXPECT_TRUE(needs_whole_row(Lamb{}));
  EXPECT_FALSE(needs_whole_row(Adagrad{}));
  EXPECT_FALSE(needs_whole_row(RmsProp{}));
}

TEST(OptimizerClock, GoesOnFromWhatIsSaved) {
  OptimizerClock straight(Adam{1, 0.5, 0.25, 0});
  straight.tick(1);
  EXPECT_EQ(straight.numbers(), (std::vector<double>{0.5, 0.25}));
  OptimizerClock resumed(Adam{1, 0.5, 0.25, 0});
  resumed.restore(straight.step(), straight.numbers());
  EXPECT_EQ(resumed.tick(1).factors[0], straight.tick(1).factors[0]);
  EXPECT_EQ(resumed.numbers(), (std::vector<double>{0.25, 0.0625}));
}

TEST(OptimizerClock, RefusesAnotherCountOfNumbers) {
  OptimizerClock clock(Sgd{});
  EXPECT_EQ(clock.numbers(), std::vector<double>{});
  EXPECT_EQ(
      refusal_of([&] { clock.restore(1, {0.5}); }),
      std::pair(Kind::invalid_argument, std::string("expected a clock of 0 numbers: found 1")));
}

TEST(InitializerTree, ReadsNamesWithTheirKeys) {
  EXPECT_EQ(std::get<Constant>(initial(R"({"type": "zeros"})", 2).initializer).value, 0.0f);
  EXPECT_EQ(std::get<Constant>(initial(R"({"type": "ones"})", 2).initializer).value, 1.0f);
  EXPECT_EQ(std::get<Constant>(initial(R"({"type": "constant", "value": 3})", 2).initializer).value,
            3.0f);
  const auto uniform =
      std::get<Uniform>(initial(R"({"type": "uniform", "low": -2, "high": 4})", 2).initializer);
  EXPECT_EQ(uniform.low, -2.0f);
  EXPECT_EQ(uniform.high, 4.0f);
  const auto normal =
      std::get<Normal>(initial(R"({"type": "normal", "mean": 1, "stddev": 2})", 2).initializer);
  EXPECT_EQ(normal.mean, 1.0f);
  EXPECT_EQ(normal.stddev, 2.0f);
}

TEST(InitializerTree, AConstantPerColumnStandsBesideTheRule) {
  EXPECT_EQ(initial(R"({"type": "constant", "values": [1, 2]})", 2).constant,
            (std::vector<double>{1, 2}));
  EXPECT_EQ(initial(R"({"type": "constant", "value": 1})", 2).constant, std::vector<double>{});
}

/// The limit of uniform numbers of variance scale / fan: sqrt(3 scale / fan).
float limit(const std::string& json, std::int64_t dim) {
  return static_cast<float>(std::get<Uniform>(initial(json, dim).initializer).high);
}

TEST(InitializerTree, NamedFormsScaleTheVarianceByTheirFan) {
  // fan_in is 1 and fan_out 5, so their mean is 3.
  EXPECT_EQ(limit(R"({"type": "glorot_uniform"})", 5), 1.0f);
  EXPECT_EQ(limit(R"({"type": "glorot_uniform", "scale": 4})", 5), 2.0f);
  EXPECT_FLOAT_EQ(limit(R"({"type": "he_uniform"})", 5), std::sqrt(6.0f));
  EXPECT_FLOAT_EQ(limit(R"({"type": "lecun_uniform"})", 5), std::sqrt(3.0f));
  EXPECT_FLOAT_EQ(limit(R"({"type": "variance_scaling", "mode": "fan_out", "scale": 15,
                            "distribution": "uniform"})",
                        5),
                  3.0f);
  EXPECT_EQ(refusal_of([] { initial(R"({"type": "he_normal", "mode": "fan_in"})", 5); }).second,
            "rule.json: unknown key \"mode\" in [initializer]");
}

TEST(PartitionerNames, AreThoseOfTheContract) {
  EXPECT_STREQ(name_of(partitioner_of("hash", "table")), "hash");
  EXPECT_STREQ(name_of(partitioner_of("modulo", "table")), "modulo");
}

TEST(PartitionerNames, AHashIsSaltedByItsTable) {
  const auto salt = [](const char* table) {
    return std::get<HashPartitioner>(partitioner_of("hash", table)).salt;
  };
  EXPECT_NE(salt("C1"), salt("C2"));
  EXPECT_EQ(shard_of(ModuloPartitioner{}, 1025), 1u);
}

}  // namespace

/// Checks row [dim] against the definition: column c takes word c % 4 of philox(seed, key, c / 4).
template <class I, class Probability>
void expect_normals(const I& rule, std::int64_t dim, const Probability& probability) {
  std::vector<float> row(static_cast<std::size_t>(dim) + 1, -7.0f);
  for (std::uint64_t key = 0; key < 300; ++key) {
    initialize_row(Solo{}, rule, 11, key, dim, row.data());
    for (std::int64_t c = 0; c < dim; ++c) {
      const std::uint32_t word = philox(11, key, static_cast<std::uint64_t>(c / 4)).word[c % 4];
      const double unit = (static_cast<double>(word >> 8) + 0.5) / 16777216.0;
      const double quantile = normal_quantile(probability(unit));
      EXPECT_EQ(row[static_cast<std::size_t>(c)],
                static_cast<float>(rule.mean + rule.stddev * quantile));
    }
    EXPECT_EQ(row.back(), -7.0f);
  }
}

TEST(Initializers, NormalsAreQuantilesOfTheWordOfTheirColumn) {
  constexpr double kBelow = 0.022750131948179212;  // distribution function at -2
  for (const std::int64_t dim : {1, 3, 4, 7, 64}) {
    expect_normals(Normal{1, 2}, dim, [](double unit) { return unit; });
    expect_normals(TruncatedNormal{0.5f, 3}, dim,
                   [](double unit) { return kBelow + unit * (1.0 - 2.0 * kBelow); });
  }
}

}  // namespace keyshard
