// The golden files that are handed out with the project: no case fails, and every part that is
// built still has all of its cases.
#include <cstdint>
#include <filesystem>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/golden/runner.hpp"
#include "tests/support/shared_folder.hpp"

namespace keyshard::testing {
namespace {

/// A part that is built, with the number of its cases in the files.
struct Needed {
  const char* part;
  std::int64_t cases;
};

constexpr Needed kLayers[] = {
    {"squashed_layer: squashed sum", 11},
    {"squashed_layer: squashed mean", 11},
    {"squashed_layer: squashed min", 11},
    {"squashed_layer: squashed max", 11},
    {"squashed_layer: small sum", 6},
    {"squashed_layer: small mean", 4},
    {"squashed_layer: small min", 4},
    {"squashed_layer: small max", 4},
    {"squashed_layer: ragged sum", 2},
    {"squashed_layer: ragged mean", 2},
    {"squashed_layer: ragged min", 2},
    {"squashed_layer: ragged max", 2},
    {"squashed_layer: empty sum", 5},
    {"squashed_layer: empty mean", 5},
    {"squashed_layer: empty min", 5},
    {"squashed_layer: empty max", 5},
    {"squashed_layer: squashed prod", 11},
    {"squashed_layer: small prod", 4},
    {"squashed_layer: ragged prod", 2},
    {"squashed_layer: empty prod", 5},
    {"combiners: cases prod", 22},
    {"squashed_layer: squashed variance", 11},
    {"squashed_layer: small variance", 4},
    {"squashed_layer: ragged variance", 2},
    {"squashed_layer: empty variance", 5},
    {"combiners: cases variance", 22},
    {"squashed_layer: squashed std", 11},
    {"squashed_layer: small std", 4},
    {"squashed_layer: ragged std", 2},
    {"squashed_layer: empty std", 5},
    {"combiners: cases std", 22},
    {"squashed_layer: squashed logsumexp", 11},
    {"squashed_layer: small logsumexp", 4},
    {"squashed_layer: ragged logsumexp", 2},
    {"squashed_layer: empty logsumexp", 5},
    {"combiners: cases logsumexp", 22},
    {"squashed_layer: squashed euclidean_norm", 11},
    {"squashed_layer: small euclidean_norm", 4},
    {"squashed_layer: ragged euclidean_norm", 2},
    {"squashed_layer: empty euclidean_norm", 5},
    {"combiners: cases euclidean_norm", 22},
    {"squashed_layer: empty as TensorFlow sum", 5},
    {"squashed_layer: empty as TensorFlow mean", 5},
    {"squashed_layer: empty as TensorFlow max", 5},
    {"squashed_layer: empty as TensorFlow std", 5},
    {"squashed_layer: empty as TensorFlow logsumexp", 5},
    {"squashed_layer: embedding", 4},
    {"squashed_layer: output_shapes Embedding", 10},
    {"squashed_layer: refused", 15},
    {"squashed_layer: field_wise sum", 3},
    {"squashed_layer: field_wise mean", 3},
    {"squashed_layer: field_wise sqrt_n", 3},
    {"squashed_layer: configs", 4},
    {"squashed_layer: configs initializer", 4},
    {"squashed_layer: configs initializer keep_distribution restrict_policy", 4},
    {"squashed_layer: output_shapes SquashedEmbedding", 10},
    {"combiners: cases sum", 22},
    {"combiners: cases mean", 22},
    {"combiners: cases min", 22},
    {"combiners: cases max", 22},
    {"combiners: cases sqrtn", 22},
    {"bp_v2: write_back by value", 7},
    {"bp_v2: write_back by increment", 7},
    {"bp_v2: layer_step", 2},
    {"bp_v2: cross_talk", 16},
    {"max_norm: reads", 4},
    {"max_norm: training", 4},
    {"partition: cases modulo", 16},
    {"partition: cases cuda_build", 16},
    {"partition: cases farmhash64_mod", 8},
    {"partition: farmhash64", 1},
    {"initializers: random", 63},
    {"initializers: missing_key Zeros", 1},
    {"initializers: missing_key Ones", 1},
    {"initializers: missing_key Constant(0.25)", 1},
    {"initializers: missing_key number 0.25", 1},
    {"initializers: missing_key integer 3", 1},
    {"initializers: missing_key vector of D", 1},
    {"initializers: missing_key vector of another size", 1},
    {"initializers: missing_key empty vector", 1},
    {"initializers: missing_key string zeros", 1},
    {"initializers: missing_key None", 1},
};

constexpr Needed kDense[] = {
    {"dense: models logistic", 2},
    {"dense: models mlp", 1},
    {"dense: models fm", 1},
    {"dense: models deepfm", 1},
    {"dense: models widedeep", 1},
    {"dense: models dlrm", 1},
    {"dense: models mf", 1},
    {"dense: training deepfm sgd lr 0.1", 1},
    {"dense: training deepfm adam lr 0.01 epsilon 1e-7", 1},
    {"dense: training dlrm sgd lr 0.1", 1},
    {"dense: training dlrm adam lr 0.01 epsilon 1e-7", 1},
    {"dense: training widedeep sgd lr 0.1", 1},
    {"dense: training widedeep adam lr 0.01 epsilon 1e-7", 1},
    {"metrics: classification", 13},
    {"metrics: regression", 1},
};

constexpr const char* kOptimizers[] = {
    "sgd",
    "momentum",
    "nesterov",
    "adagrad",
    "adagrad_epsilon_0",
    "adagrad_initial_0",
    "rowwise_adagrad",
    "rowwise_adagrad_initial",
    "adam",
    "adam_first_step_1000",
    "adamw",
    "ftrl",
    "ftrl_beta",
    "ftrl_initial_0",
    "ftrl_l1_l2",
    "ftrl_power",
    "ftrl_shrinkage",
    "nadam",
    "adagrad_da",
    "adagrad_da_l1_l2",
    "adadelta",
    "amsgrad",
    "adamax",
    "rmsprop",
    "rmsprop_momentum",
    "rmsprop_centered",
    "rmsprop_centered_momentum",
    "rmsprop_initial_1",
    "proximal_sgd",
    "proximal_adagrad",
    "lamb",
    "lamb_weight_decay",
};

void expect_passed(const Report& report, const std::string& part, std::int64_t cases) {
  const auto found = report.passed_of_part().find(part);
  EXPECT_GE(found == report.passed_of_part().end() ? 0 : found->second, cases) << part;
}

TEST(Golden, EveryCaseOfTheSharedFilesPasses) {
  const std::string folder = shared_folder() + "/golden";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << "no golden files at " << folder;
  }
  std::ostringstream out;
  Report report(out);
  EXPECT_TRUE(run_golden(folder, report)) << out.str();

  for (const Needed& needed : kLayers) {
    expect_passed(report, needed.part, needed.cases);
  }
  for (const Needed& needed : kDense) {
    expect_passed(report, needed.part, needed.cases);
  }
  for (const char* optimizer : kOptimizers) {
    expect_passed(report, std::string("optimizers: cases ") + optimizer, 1);
  }
}

}  // namespace
}  // namespace keyshard::testing
