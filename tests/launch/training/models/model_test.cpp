// The models against central differences of their formulas in double. model_slices_test checks the
// bits of a slice, and the golden runner compares the models with golden vectors.
#include "launch/training/models/model.hpp"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "runtime/stream.hpp"
#include "tests/launch/training/models/model_problem.hpp"
#include "tests/launch/training/models/reference_model.hpp"

namespace keyshard {
namespace {

using testing::expect_close;
using testing::kTypes;
using testing::make_problem;
using testing::Numbers;
using testing::Problem;
using testing::random_floats;
using testing::random_slice;
using testing::ReferenceModel;
using testing::run_slice;
using testing::SliceData;
using testing::SliceRun;

Numbers widen(Span<const float> values) { return {values.begin(), values.end()}; }

ReferenceModel make_reference(const Problem& p) {
  ReferenceModel reference;
  reference.options = p.options;
  reference.shape = p.shape;
  reference.context = p.context;
  for (const Parameter& parameter : p.model->parameters().all()) {
    reference.parameters[parameter.name] =
        widen({p.parameters.data() + parameter.offset, static_cast<std::size_t>(parameter.size())});
  }
  reference.running = widen(p.statistics);
  reference.samples = p.data.samples;
  reference.factors = widen(p.data.factors);
  reference.linear = widen(p.data.linear);
  reference.dense = widen(p.data.dense);
  reference.labels = widen(p.data.labels);
  reference.weights = widen(p.data.weights);
  reference.numbers = p.data.numbers;
  return reference;
}

/// The gradient of the reference's loss by the numbers `at`, which are part of the reference.
Numbers differences(const ReferenceModel& reference, Numbers& at) {
  constexpr double kStep = 1e-6;
  Numbers gradient;
  for (double& number : at) {
    const double before = number;
    number = before + kStep;
    const double above = reference.loss();
    number = before - kStep;
    gradient.push_back((above - reference.loss()) / (2 * kStep));
    number = before;
  }
  return gradient;
}

void expect_gradients_of_differences(Problem& p) {
  Stream<Cpu> stream;
  Workspace<Cpu> workspace(stream);
  const SliceRun run = run_slice(*p.model, p.data, p.numbers(), p.context, workspace);
  ReferenceModel reference = make_reference(p);
  const std::string name = name_of(p.options.type);

  expect_close(run.logits, reference.logits(), 2e-5, name + " logits");
  EXPECT_NEAR(run.losses[0] / static_cast<double>(p.context.valid_samples), reference.loss(), 1e-5);
  for (const Parameter& parameter : p.model->parameters().all()) {
    const auto first = run.parameters.begin() + parameter.offset;
    expect_close({first, first + parameter.size()},
                 differences(reference, reference.parameters.at(parameter.name)), 2e-5,
                 name + " " + parameter.name);
  }
  const std::vector<std::string> groups = column_groups(p.options.type);
  if (groups.front() == "factor") {
    expect_close(run.factors, differences(reference, reference.factors), 2e-5, name + " factors");
  }
  if (groups.back() == "linear") {
    expect_close(run.linear, differences(reference, reference.linear), 2e-5, name + " linear");
  }
  expect_close(run.dense, differences(reference, reference.dense), 2e-5, name + " dense");
}

TEST(Model, GradientsAreThoseOfTheFormulaWithBatchNormAndDropout) {
  for (const ModelType type : kTypes) {
    Problem p = make_problem(type, 13);
    expect_gradients_of_differences(p);
  }
}

TEST(Model, SmallSlicesNormaliseWithTheRunningStatistics) {
  for (const ModelType type : {ModelType::deepfm, ModelType::dlrm}) {
    Problem p = make_problem(type, 7);
    expect_gradients_of_differences(p);
  }
}

TEST(Model, EvaluationUsesRunningStatisticsAndNoDropout) {
  Stream<Cpu> stream;
  Workspace<Cpu> workspace(stream);
  for (const ModelType type : kTypes) {
    Problem p = make_problem(type, 13);
    std::vector<float> logits(13);
    const std::vector<std::int64_t> offsets{0, 13};
    Serial queue;
    p.model->forward(queue, workspace, p.numbers(), p.data.input(offsets), logits.data());
    ReferenceModel reference = make_reference(p);
    reference.training = false;
    expect_close(logits, reference.logits(), 2e-5, name_of(type));
  }
}

/// Makes the model again, for options and a shape that were changed.
void remake(Problem& p, std::int64_t samples) {
  p.model = make_model<Cpu>(p.options, p.shape);
  std::mt19937_64 random(8);
  p.parameters = random_floats(random, p.model->parameters().size());
  p.statistics = p.model->initial_statistics();
  p.data = random_slice(p.shape, samples, 3);
}

TEST(Model, DlrmWithoutDenseColumnsLearnsAConstantInTheirPlace) {
  Problem p = make_problem(ModelType::dlrm, 9);
  p.shape.dense_columns = 0;
  p.options.batch_norm = false;  // of a constant there is nothing to normalise
  remake(p, 9);
  expect_gradients_of_differences(p);
}

TEST(Model, CrossLayersOfAnyRankAndStructureHaveTheGradientsOfTheirFormula) {
  for (const bool stacked : {true, false}) {
    for (const std::int64_t rank : {0, 3}) {
      Problem p = make_problem(ModelType::dcnv2, 9);
      p.options.stacked = stacked;
      p.options.cross_rank = rank;
      p.options.cross_layers = 3;
      remake(p, 9);
      expect_gradients_of_differences(p);
    }
  }
}

/// The logit of one sample, whose factors are `factors` and whose dense column is `dense`.
float logit_of(const ModelOptions& options, const std::vector<float>& factors, float dense,
               const std::vector<float>& parameters) {
  const ModelShape shape{{"a"}, {static_cast<std::int64_t>(factors.size())}, 1};
  const std::unique_ptr<Model<Cpu>> model = make_model<Cpu>(options, shape);
  EXPECT_EQ(model->parameters().size(), static_cast<std::int64_t>(parameters.size()));
  SliceData data = random_slice(shape, 1, 1);
  data.factors = factors;
  data.dense = {dense};
  float logit = 0;
  Stream<Cpu> stream;
  Workspace<Cpu> workspace(stream);
  const std::vector<std::int64_t> offsets{0, 1};
  Serial queue;
  model->forward(queue, workspace, {parameters.data(), nullptr}, data.input(offsets), &logit);
  return logit;
}

TEST(Model, DcnV2IsTheFormulaOfItsPaperByHand) {
  ModelOptions options;
  options.type = ModelType::dcnv2;
  options.hidden = {};
  options.cross_layers = 2;
  // x_0 = (2, 3). Layer 1: W = (1 2; 0 -1), b = (1, 0): x_0 W + b = (3, 1), so
  // x_1 = (2 * 3 + 2, 3 * 1 + 3) = (8, 6). Layer 2: W = (0 1; 1 0), b = (-5, 1): x_1 W + b =
  // (1, 9), so x_2 = (2 * 1 + 8, 3 * 9 + 6) = (10, 33).
  const std::vector<float> cross{1, 2, 0, -1, 1, 0, 0, 1, 1, 0, -5, 1};
  std::vector<float> stacked = cross, parallel = cross;
  stacked.insert(stacked.end(), {0.5f, 2, 7});          // W1, b1: 5 + 66 + 7
  parallel.insert(parallel.end(), {10, 100, 7, 1, 2});  // W1, b1 of x_0: 327; wcross of x_2: 76
  EXPECT_EQ(logit_of(options, {2}, 3, stacked), 78.0f);
  options.stacked = false;
  EXPECT_EQ(logit_of(options, {2}, 3, parallel), 403.0f);

  // Rank 1: V = (1, 2), U = (3, -1), so W = (3 -1; 6 -2). x_0 W + b = (24, -8) + (0, 1), and x_1 =
  // (2 * 24 + 2, 3 * -7 + 3) = (50, -18).
  options.stacked = true;
  options.cross_layers = 1;
  options.cross_rank = 1;
  EXPECT_EQ(logit_of(options, {2}, 3, {1, 2, 3, -1, 0, 1, 1, 2, 0.5f}), 14.5f);
}

TEST(Model, DlrmTakesMoreAndWiderFeaturesThanItSumsAtOnce) {
  Problem p = make_problem(ModelType::dlrm, 4);
  p.shape.features.assign(18, "feature");
  p.shape.factor_dims.assign(18, 19);
  p.options.batch_norm = false;
  remake(p, 3);
  for (float& factor : p.data.factors) {
    factor *= 0.25f;
  }
  expect_gradients_of_differences(p);
}

TEST(Model, BatchStatisticsAreTheMeanAndBiasedVarianceOfTheSlice) {
  // A hidden layer of one unit on one column, all parameters 1: h W + b is the column plus 1.
  ModelOptions options;
  options.type = ModelType::mlp;
  options.hidden = {1};
  options.batch_norm = true;
  options.batch_norm_momentum = 0.75;
  const std::unique_ptr<Model<Cpu>> model = make_model<Cpu>(options, {{"a"}, {1}, 0});
  SliceData data = random_slice({{"a"}, {1}, 0}, 8, 1);
  data.factors = {1, 2, 3, 4, 5, 6, 7, 8};
  Stream<Cpu> stream;
  Workspace<Cpu> workspace(stream);
  const std::vector<float> parameters(static_cast<std::size_t>(model->parameters().size()), 1.0f);

  std::vector<float> statistics = model->initial_statistics();
  const SliceRun run =
      run_slice(*model, data, {parameters.data(), statistics.data()}, {1, 1, 8}, workspace);
  EXPECT_EQ(run.batch_statistics, (std::vector<float>{5.5f, 5.25f}));

  // Two slices: `folded` is the sum of their statistics; the step takes a quarter of the mean.
  const std::vector<float> folded{11.0f, 10.5f}, none{0, 0};
  model->update_statistics(stream, folded.data(), 2, statistics.data());
  EXPECT_EQ(statistics, (std::vector<float>{0.25f * 5.5f, 0.75f + 0.25f * 5.25f}));
  model->update_statistics(stream, none.data(), 0, statistics.data());
  EXPECT_EQ(statistics, (std::vector<float>{0.25f * 5.5f, 0.75f + 0.25f * 5.25f}));
}

TEST(Model, ANonFiniteInputReachesTheLoss) {
  Stream<Cpu> stream;
  Workspace<Cpu> workspace(stream);
  for (const ModelType type : kTypes) {
    Problem p = make_problem(type, 9);
    p.options.dropout = 0;
    p.model = make_model<Cpu>(p.options, p.shape);
    p.data.factors[0] = p.data.linear[0] = std::numeric_limits<float>::quiet_NaN();
    p.data.weights[0] = 1;
    const SliceRun run = run_slice(*p.model, p.data, p.numbers(), p.context, workspace);
    EXPECT_TRUE(std::isnan(run.losses[0])) << name_of(type);
  }
}

std::string message_of(const ModelOptions& options, const ModelShape& shape) {
  try {
    make_model<Cpu>(options, shape);
  } catch (const Error& error) {
    return error.text();
  }
  return "";
}

TEST(Model, FeaturesThatDoNotFitAreNamed) {
  ModelOptions options;
  for (const ModelType type : {ModelType::fm, ModelType::deepfm, ModelType::dlrm}) {
    options.type = type;
    EXPECT_EQ(message_of(options, {{"user", "item"}, {4, 8}, 0}),
              std::string("model \"") + name_of(type) +
                  "\": expected features of one dimension: found 4 of \"user\" and 8 of \"item\"");
  }
  options.type = ModelType::mf;
  EXPECT_EQ(message_of(options, {{"a", "b", "c"}, {4, 4, 4}, 0}),
            "model \"mf\": expected two features, user and item: found 3: a, b, c");
  EXPECT_EQ(message_of(options, {{"a", "b"}, {4, 4}, 2}),
            "model \"mf\": expected no dense columns: found 2");
  options.type = ModelType::deepfm;
  EXPECT_EQ(message_of(options, {{}, {}, 2}),
            "model \"deepfm\": expected at least one feature: found none");
}

TEST(Model, L2PullsMatricesAndNotBiasesOnAnyChunk) {
  ModelOptions options;
  options.type = ModelType::mlp;
  options.hidden = {};
  options.l2 = 0.25f;
  const std::unique_ptr<Model<Cpu>> model = make_model<Cpu>(options, {{"a"}, {2}, 1});
  const std::vector<float> parameters{4, -8, 12, 16};  // W1, b1
  std::vector<float> whole{1, 1, 1, 1};
  Stream<Cpu> stream;
  model->add_l2(stream, parameters.data(), {0, 4}, whole.data());
  EXPECT_EQ(whole, (std::vector<float>{2, -1, 4, 1}));
  std::vector<float> part{1, 1};
  model->add_l2(stream, parameters.data(), {1, 3}, part.data());
  EXPECT_EQ(part, (std::vector<float>{-1, 4}));
}

}  // namespace
}  // namespace keyshard
