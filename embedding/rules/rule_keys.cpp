#include "embedding/rules/rule_keys.hpp"

namespace keyshard {
namespace {

constexpr KeyMeaning kOptimizerKeys[] = {
    {"type", "",
     "the rule, with the formula of TensorFlow's (row-wise Adagrad: FBGEMM's, LAMB: with norms per "
     "row); the headers of embedding/rules/ have the formulas",
     "\"adam\""},
    {"learning_rate", "", "before any schedule"},
    {"momentum", "", "what a step keeps of the last move"},
    {"nesterov", "", "whether the move looks one step ahead"},
    {"initial_accumulator", "", "of the sum of squares before the first step of a row"},
    {"epsilon", "", "keeps the divisor from 0"},
    {"beta_1", "", "what a step keeps of the mean of gradients"},
    {"beta_2", "",
     "what a step keeps of the mean of squared gradients; of adamax: of the largest one"},
    {"rho", "", "what a step keeps of the means"},
    {"centered", "", "whether the square of the mean gradient is taken off the mean of squares"},
    {"initial_velocity", "",
     "of the mean of squares before the first step of a row; TensorFlow 1 has 1"},
    {"learning_rate_power", "", "of the sum of squares in the rate"},
    {"weight_decay", "",
     "of the rule's own: the part of a weight, times the learning rate, that a step takes off "
     "(lamb: adds to the move)"},
    {"l1", "", "of the rule's formula: makes small weights exactly 0"},
    {"l2", "", "of the rule's formula: shrinks weights"},
    {"l2_shrinkage", "", "adds 2 l2_shrinkage w to the gradient that is summed"},
    {"beta", "", "added to the root of the sum of squares"},
};

constexpr KeyTable kOptimizer{"Optimizers",
                              "A text is the type alone: `optimizer = \"adam\"`. Where no type is "
                              "given, a table has the rule of [embedding].",
                              kOptimizerKeys};

constexpr KeyMeaning kInitializerKeys[] = {
    {"type", "",
     "the rule; zeros and ones are constants, glorot, he and lecun are forms of variance scaling "
     "for a row of `dim` numbers",
     "\"normal\""},
    {"value", "", "of every number"},
    {"values", "", "a number for each column, in place of `value`", "[0.5]"},
    {"mean", "", "of the distribution"},
    {"stddev", "", "standard deviation, before the cut at two of them"},
    {"low", "", "least value"},
    {"high", "", "bound of the values"},
    {"scale", "", "the variance is scale / fan"},
    {"mode", "", "the fan: 1, `dim`, or their mean"},
    {"distribution", "", "with that variance"},
};

constexpr KeyTable kInitializer{"Initializers",
                                "What a row holds before its first step: a function of the table's "
                                "seed and the key. A text is the type alone.",
                                kInitializerKeys};

}  // namespace

const KeyTable& optimizer_keys() { return kOptimizer; }

const KeyTable& initializer_keys() { return kInitializer; }

}  // namespace keyshard
