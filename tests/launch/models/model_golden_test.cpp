// The models against the golden vectors: logits, losses and all gradients.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "launch/models/model.hpp"
#include "runtime/stream.hpp"
#include "tests/launch/models/model_run.hpp"
#include "tests/launch/models/reference_model.hpp"
#include "tests/support/golden_file.hpp"

namespace keyshard {
namespace {

using testing::expect_close;
using testing::GoldenValue;
using testing::run_slice;
using testing::SliceData;
using testing::SliceRun;

constexpr ModelType kTypes[] = {ModelType::logistic, ModelType::mlp,      ModelType::fm,
                                ModelType::mf,       ModelType::widedeep, ModelType::deepfm,
                                ModelType::dlrm};

/// A golden case.
struct GoldenModel {
  ModelOptions options;
  ModelShape shape;
  std::unique_ptr<Model> model;
  std::vector<float> parameters;
  SliceData data;
  StepContext context;
};

/// The columns of a golden case.
SliceData golden_slice(const GoldenValue& inputs) {
  SliceData data;
  data.labels = inputs["label"].tensor().floats();
  data.samples = static_cast<std::int64_t>(data.labels.size());
  data.factors = inputs["v"].tensor().floats();
  data.linear = inputs["w"].tensor().floats();
  if (inputs.has("x")) {
    data.dense = inputs["x"].tensor().floats();
  }
  data.numbers.resize(data.labels.size());
  return data;
}

/// Model and shape of a golden case; its layers have the widths of its parameters.
GoldenModel golden_model(const GoldenValue& value) {
  GoldenModel p;
  for (const ModelType type : kTypes) {
    if (value["model"].text() == name_of(type)) {
      p.options.type = type;
    }
  }
  p.data = golden_slice(value["inputs"]);
  p.options.loss = p.options.type == ModelType::mf ? Loss::squared_error : Loss::log_loss;
  const std::vector<std::int64_t> factors = value["inputs"]["v"].tensor().shape;
  p.shape.features.assign(static_cast<std::size_t>(factors[1]), "feature");
  p.shape.factor_dims.assign(static_cast<std::size_t>(factors[1]), factors[2]);
  if (p.options.type != ModelType::mf) {
    p.shape.dense_columns = value["inputs"]["x"].tensor().shape[1];
  }
  const GoldenValue& parameters = value["parameters"];
  const auto widths = [&](const std::string& suffix) {
    std::vector<std::int64_t> result;
    for (int i = 1; parameters.has("W" + suffix + std::to_string(i + 1)); ++i) {
      result.push_back(parameters["b" + suffix + std::to_string(i)].tensor().shape[0]);
    }
    return result;
  };
  p.options.hidden = widths("");
  p.options.bottom = widths("bottom");
  p.data.shape = p.shape;
  p.model = make_model(p.options, p.shape);
  p.parameters.resize(static_cast<std::size_t>(p.model->parameters().size()));
  for (const Parameter& parameter : p.model->parameters().all()) {
    const std::vector<float> values = parameters[parameter.name].tensor().floats();
    std::copy(values.begin(), values.end(), p.parameters.begin() + parameter.offset);
  }
  p.context.valid_samples = p.data.samples;
  return p;
}

TEST(ModelGolden, LogitsLossAndGradientsAreGolden) {
  const std::string path = std::string(KEYSHARD_SHARED_DIR) + "/golden/dense.json";
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << "no golden file " << path;
  }
  Stream<Cpu> stream;
  Workspace workspace(stream);
  const GoldenValue file = testing::read_golden(path);
  for (const GoldenValue& value : file["models"].list()) {
    const std::string name = value["name"].text();
    const GoldenModel p = golden_model(value);
    const SliceRun run = run_slice(*p.model, p.data, p.parameters, p.context, workspace);
    const GoldenValue& expected = value["float64"];
    expect_close(run.logits, expected["logit"].tensor().reals, 2e-5, name + " logit");
    EXPECT_NEAR(run.result.loss_sum / static_cast<double>(p.data.samples),
                expected["loss"].number(), 2e-5 * (1 + expected["loss"].number()));

    const GoldenValue& gradient = expected["gradient"];
    for (const Parameter& parameter : p.model->parameters().all()) {
      const auto first = run.parameters.begin() + parameter.offset;
      expect_close({first, first + parameter.size()}, gradient[parameter.name].tensor().reals, 2e-5,
                   name + " " + parameter.name);
    }
    const std::pair<const char*, const std::vector<float>*> columns[] = {
        {"v", &run.factors}, {"w", &run.linear}, {"x", &run.dense}};
    for (const auto& [column, found] : columns) {
      if (gradient.has(column)) {
        expect_close(*found, gradient[column].tensor().reals, 2e-5, name + " " + column);
      }
    }
  }
  EXPECT_EQ(file["models"].list().size(), 8u);
}

}  // namespace
}  // namespace keyshard
