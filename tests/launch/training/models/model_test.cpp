// The models against central differences of their formulas in double, and their bits against the
// number of threads. The golden runner compares them with golden vectors.
#include "launch/training/models/model.hpp"

#include <cmath>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "runtime/stream.hpp"
#include "tests/launch/training/models/model_run.hpp"
#include "tests/launch/training/models/reference_model.hpp"

namespace keyshard {
namespace {

using testing::expect_close;
using testing::Numbers;
using testing::ReferenceModel;
using testing::run_slice;
using testing::run_slices;
using testing::SliceData;
using testing::SliceRun;

constexpr ModelType kTypes[] = {ModelType::logistic, ModelType::mlp,      ModelType::fm,
                                ModelType::mf,       ModelType::widedeep, ModelType::deepfm,
                                ModelType::dlrm};

/// A model with numbers for everything.
struct Problem {
  ModelOptions options;
  ModelShape shape;
  std::unique_ptr<Model<Cpu>> model;
  std::vector<float> parameters;
  std::vector<float> statistics;  // running
  SliceData data;
  StepContext context;

  ModelNumbers numbers() const { return {parameters.data(), statistics.data()}; }
};

std::vector<float> random_floats(std::mt19937_64& random, std::int64_t n) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) {
    value = uniform(random);
  }
  return values;
}

SliceData random_slice(const ModelShape& shape, std::int64_t samples, unsigned seed) {
  std::mt19937_64 random(seed);
  SliceData data;
  data.shape = shape;
  data.samples = samples;
  data.factors = random_floats(random, samples * shape.factor_columns());
  data.linear = random_floats(random, samples * static_cast<std::int64_t>(shape.features.size()));
  data.dense = random_floats(random, samples * shape.dense_columns);
  for (std::int64_t s = 0; s < samples; ++s) {
    data.labels.push_back(random() % 2 == 0 ? 0.0f : 1.0f);
    data.weights.push_back(static_cast<float>(random() % 4));
    data.numbers.push_back(1000 * seed + s);
  }
  return data;
}

Problem make_problem(ModelType type, std::int64_t samples) {
  Problem p;
  p.options.type = type;
  p.options.hidden = {7, 5};
  p.options.bottom = {6};
  if (has_network(type)) {
    p.options.batch_norm = true;
    p.options.dropout = 0.25;
  }
  p.options.loss = type == ModelType::mf ? Loss::squared_error : Loss::log_loss;
  p.shape.features = {"user", "item", "place"};
  p.shape.factor_dims = {4, 4, 4};
  p.shape.dense_columns = 3;
  if (type == ModelType::mf) {
    p.shape = {{"user", "item"}, {4, 4}, 0};
  } else if (type == ModelType::widedeep || type == ModelType::mlp) {
    p.shape.factor_dims = {4, 2, 3};
  }
  p.model = make_model<Cpu>(p.options, p.shape);
  std::mt19937_64 random(5);
  p.parameters = random_floats(random, p.model->parameters().size());
  p.statistics = p.model->initial_statistics();
  for (float& statistic : p.statistics) {
    statistic = 0.5f + static_cast<float>(random() % 100) / 100.0f;
  }
  p.data = random_slice(p.shape, samples, 3);
  p.context = {11, 4, 3 * samples};
  return p;
}

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

/// The gradient of the reference's loss by the numbers at `at`, which are its own.
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
  // One layer on one column: h W + b is the column itself.
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

  // Two slices: their fold is a sum, the step takes a quarter of its mean.
  const std::vector<float> folded{11.0f, 10.5f}, none{0, 0};
  model->update_statistics(stream, folded.data(), 2, statistics.data());
  EXPECT_EQ(statistics, (std::vector<float>{0.25f * 5.5f, 0.75f + 0.25f * 5.25f}));
  model->update_statistics(stream, none.data(), 0, statistics.data());
  EXPECT_EQ(statistics, (std::vector<float>{0.25f * 5.5f, 0.75f + 0.25f * 5.25f}));
}

TEST(Model, ASliceOfUnderEightSamplesHasNoStatistics) {
  Problem p = make_problem(ModelType::deepfm, 7);
  EXPECT_FALSE(p.model->has_statistics(7));
  EXPECT_TRUE(p.model->has_statistics(8));
  Stream<Cpu> stream;
  Workspace<Cpu> workspace(stream);
  for (const float number :
       run_slice(*p.model, p.data, p.numbers(), p.context, workspace).batch_statistics) {
    EXPECT_TRUE(std::isnan(number)) << "written";
  }
}

TEST(Model, AnEmptySliceGivesZeroGradients) {
  Stream<Cpu> stream;
  Workspace<Cpu> workspace(stream);
  for (const ModelType type : kTypes) {
    const Problem p = make_problem(type, 8);
    const SliceRun run =
        run_slice(*p.model, random_slice(p.shape, 0, 1), p.numbers(), p.context, workspace);
    EXPECT_EQ(run.losses[0], 0);
    EXPECT_EQ(run.parameters, std::vector<float>(p.parameters.size(), 0.0f)) << name_of(type);
  }
}

TEST(Model, BitsOfASliceDoNotDependOnThreadsOrOnSlicesBefore) {
  for (const ModelType type : kTypes) {
    Problem p = make_problem(type, 13);
    std::vector<std::vector<SliceRun>> runs;
    for (const int threads : {1, 2}) {
      Stream<Cpu> stream(threads);
      std::vector<Workspace<Cpu>> workspaces;
      for (int thread = 0; thread < threads; ++thread) {
        workspaces.emplace_back(stream);
      }
      std::vector<SliceRun> slices(9);
      stream.threads().for_tasks(9, [&](std::int64_t slice, int thread) {
        const SliceData data = random_slice(p.shape, 6 + slice, static_cast<unsigned>(slice));
        slices[static_cast<std::size_t>(slice)] = run_slice(
            *p.model, data, p.numbers(), p.context, workspaces[static_cast<std::size_t>(thread)]);
      });
      runs.push_back(std::move(slices));
    }
    for (std::size_t slice = 0; slice < 9; ++slice) {
      EXPECT_EQ(runs[0][slice].logits, runs[1][slice].logits);
      EXPECT_EQ(runs[0][slice].parameters, runs[1][slice].parameters);
      EXPECT_EQ(runs[0][slice].losses, runs[1][slice].losses);
    }
  }
}

/// Places that neither wrote hold the same NaN.
template <class T>
void expect_same_bits(const std::vector<T>& found, const std::vector<T>& expected,
                      const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  EXPECT_TRUE(found.empty() ||
              std::memcmp(found.data(), expected.data(), found.size() * sizeof(T)) == 0)
      << what;
}

void append(std::vector<float>& to, const std::vector<float>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

/// The samples of two runs or slices behind each other.
template <class Columns>
void append_columns(Columns& to, const Columns& more) {
  append(to.factors, more.factors);
  append(to.linear, more.linear);
  append(to.dense, more.dense);
}

TEST(Model, SlicesInOneGroupHaveTheBitsThatEachHasAlone) {
  Stream<Cpu> stream;
  Workspace<Cpu> workspace(stream);
  for (const ModelType type : kTypes) {
    const Problem p = make_problem(type, 13);
    SliceData together;
    together.shape = p.shape;
    std::vector<std::int64_t> offsets{0};
    SliceRun alone;
    unsigned seed = 0;
    for (const std::int64_t samples : {9, 7, 0, 1, 0, 16, 8}) {  // with and without statistics
      const SliceData slice = random_slice(p.shape, samples, ++seed);
      append_columns(together, slice);
      append(together.labels, slice.labels);
      append(together.weights, slice.weights);
      together.numbers.insert(together.numbers.end(), slice.numbers.begin(), slice.numbers.end());
      offsets.push_back(together.samples += samples);

      const SliceRun run = run_slice(*p.model, slice, p.numbers(), p.context, workspace);
      append_columns(alone, run);
      append(alone.logits, run.logits);
      append(alone.parameters, run.parameters);
      append(alone.batch_statistics, run.batch_statistics);
      alone.losses.push_back(run.losses[0]);
    }
    const SliceRun group =
        run_slices(*p.model, together, offsets, p.numbers(), p.context, workspace);
    const std::string name = name_of(type);
    expect_same_bits(group.logits, alone.logits, name + " logits");
    expect_same_bits(group.factors, alone.factors, name + " factors");
    expect_same_bits(group.linear, alone.linear, name + " linear");
    expect_same_bits(group.dense, alone.dense, name + " dense");
    expect_same_bits(group.parameters, alone.parameters, name + " parameters");
    expect_same_bits(group.batch_statistics, alone.batch_statistics, name + " statistics");
    expect_same_bits(group.losses, alone.losses, name + " losses");
  }
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
