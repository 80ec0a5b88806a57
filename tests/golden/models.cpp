// dense.json, models: logits, loss and all gradients of one batch.
#include "tests/golden/model_case.hpp"
#include "tests/golden/sections.hpp"

namespace keyshard::testing {
namespace {

constexpr double kTolerance = 2e-5;

/// The columns of a case.
void fill(const GoldenValue& inputs, SliceData& data) {
  data.labels = inputs["label"].tensor().floats();
  data.samples = static_cast<std::int64_t>(data.labels.size());
  data.factors = inputs["v"].tensor().floats();
  data.linear = inputs["w"].tensor().floats();
  if (data.shape.dense_columns > 0) {
    data.dense = inputs["x"].tensor().floats();
  }
  data.numbers.resize(data.labels.size());
}

ModelCase read_case(const GoldenValue& value) {
  const GoldenValue& inputs = value["inputs"];
  const std::vector<std::int64_t>& factors = inputs["v"].tensor().shape;
  ModelCase result =
      model_case(value["model"].text(), value["parameters"], factors.at(1), factors.at(2),
                 inputs.has("x") ? inputs["x"].tensor().shape.at(1) : 0);
  fill(inputs, result.data);
  return result;
}

/// Compares a run with `expected`, the results of TensorFlow or of the reference.
void compare(const ModelCase& c, const SliceRun& run, const GoldenValue& expected,
             const std::string& at, GoldenCase& one) {
  const auto near = [&](const std::string& what, const std::vector<float>& found,
                        const GoldenValue& reference) {
    const Numbers& numbers = reference.tensor().reals;
    one.near(at + what, found, numbers, close_to(numbers, kTolerance, kTolerance));
  };
  near("logit", run.logits, expected["logit"]);
  const double loss = expected["loss"].number();
  one.near(at + "loss", run.losses[0] / static_cast<double>(c.data.samples), loss,
           close_to({loss}, kTolerance, kTolerance).front());
  const GoldenValue& gradient = expected["gradient"];
  compare_parameters(at + "gradient of ", c.model->parameters(), run.parameters, gradient,
                     kTolerance, one);
  std::vector<float> slopes(run.logits.size());
  Serial queue;
  for_each(queue, c.data.samples,
           LossGradients{{c.options.loss, run.logits.data(), c.data.labels.data()},
                         c.data.samples,
                         slopes.data()});
  const std::pair<const char*, const std::vector<float>*> columns[] = {
      {"v", &run.factors}, {"w", &run.linear}, {"x", &run.dense}, {"logit", &slopes}};
  for (const auto& [column, found] : columns) {
    if (gradient.has(column)) {
      near(std::string("gradient of ") + column, *found, gradient[column]);
    }
  }
}

void run_model(const GoldenValue& value, GoldenCase& one) {
  const ModelCase c = read_case(value);
  Stream<Cpu> stream;
  Workspace<Cpu> workspace(stream);
  StepContext context;
  context.valid_samples = c.data.samples;
  const SliceRun run = run_slice(*c.model, c.data, c.numbers(), context, workspace);
  compare(c, run, value["float64"], "float64 ", one);
  compare(c, run, value["float32"], "float32 ", one);
}

}  // namespace

void run_models(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["models"].list()) {
    report.run("dense: models " + value["model"].text(), value["name"].text(),
               [&](GoldenCase& one) { run_model(value, one); });
  }
}

}  // namespace keyshard::testing
