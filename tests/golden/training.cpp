// dense.json, training: whole models under one optimizer. Each field has a layer of factors and a
// layer of linear weights.
#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>

#include "launch/training/dense_optimizer.hpp"
#include "runtime/error.hpp"
#include "tests/golden/layer_run.hpp"
#include "tests/golden/model_case.hpp"
#include "tests/golden/rule_tree.hpp"
#include "tests/golden/sections.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

/// The optimizer of a text like "adam lr 0.01 epsilon 1e-7", and its tolerance.
struct Learning {
  Optimizer optimizer;
  double tolerance = 0;
};

Learning learning_of(const std::string& text) {
  static const std::map<std::string, double> kTolerances{{"sgd", 2e-5}, {"adam", 2e-4}};
  std::istringstream words(text);
  std::string rule, name;
  double number = 0;
  SettingValue::Table keys;
  words >> rule;
  while (words >> name >> number) {
    keys.emplace_back(name, SettingValue{number, ""});
  }
  const Optimizer optimizer = optimizer_of(rule_tree(rule, keys));
  require(kTolerances.contains(rule), Kind::not_built,
          "expected an optimizer whose tolerance is known: found \"{}\"", text);
  return {optimizer, kTolerances.at(rule)};
}

/// The layers of one kind ("v" or "w"), one for each field, whose outputs lie side by side.
class FieldLayers {
 public:
  FieldLayers(TableSet<Cpu>& tables, Stream<Cpu>& stream, const GoldenValue& value,
              const std::string& kind, const Optimizer& optimizer) {
    for (const GoldenValue& field : value["fields"].list()) {
      const GoldenTable rows = table_of(field["keys"], field[kind]);
      LayerOptions options;
      options.name = fmt::format("{}{}", kind, layers_.size());
      options.embedding_size = dim_ = rows.dim;
      options.combiner = field[kind + "_combiner"].text();
      options.initializer = Constant{static_cast<float>(value["missing"].number())};
      options.optimizer = optimizer;
      layers_.emplace_back(tables, options);
      assign(stream, layers_.back().table(), rows);
    }
  }

  std::int64_t dim() const { return dim_; }

  std::int64_t columns() const { return dim_ * static_cast<std::int64_t>(layers_.size()); }

  /// [samples x columns()]
  std::vector<float> forward(Stream<Cpu>& stream, const GoldenValue::List& ids) {
    outputs_.clear();
    std::vector<float> all;
    for (std::size_t f = 0; f < layers_.size(); ++f) {
      const GoldenTensor& tensor = ids.at(f).tensor();
      const std::vector<Key> keys = keys_of(tensor);
      outputs_.push_back(layers_[f].forward(stream, IdsView{keys, tensor.shape, {}}));
      all.resize(static_cast<std::size_t>(tensor.shape.at(0) * columns()));
      for (std::int64_t b = 0; b < tensor.shape[0]; ++b) {
        std::copy_n(outputs_[f].values.data() + b * dim_, dim_, field(all, b, f));
      }
    }
    return all;
  }

  void backward(Stream<Cpu>& stream, std::vector<float> gradients) {
    for (std::size_t f = 0; f < layers_.size(); ++f) {
      std::vector<float> mine(static_cast<std::size_t>(outputs_[f].values.size()));
      for (std::int64_t b = 0; b < outputs_[f].shape[0]; ++b) {
        std::copy_n(field(gradients, b, f), dim_, mine.data() + b * dim_);
      }
      layers_[f].backward(stream, outputs_[f], mine.data());
    }
  }

  /// Compares the tables with those of the file, key by key.
  void compare(Stream<Cpu>& stream, const GoldenValue& after, const std::string& kind,
               double tolerance, GoldenCase& one) {
    for (std::size_t f = 0; f < layers_.size(); ++f) {
      const GoldenValue& table = after[kind].list().at(f);
      const std::vector<Key> keys = keys_of(table["keys"].tensor());
      const Numbers& rows = table["rows"].tensor().reals;
      std::vector<float> found(rows.size(), std::numeric_limits<float>::quiet_NaN());
      copy_rows(stream, layers_[f].table(), keys, "values/values", found);
      const std::string what = fmt::format("after: {} of field {}", kind, f);
      one.equal(what + ": size", {layers_[f].table().size()},
                {static_cast<std::int64_t>(keys.size())});
      one.near(what, found, rows, close_to(rows, tolerance, tolerance));
    }
  }

 private:
  float* field(std::vector<float>& all, std::int64_t sample, std::size_t f) const {
    return all.data() + sample * columns() + static_cast<std::int64_t>(f) * dim_;
  }

  std::vector<SquashedEmbedding<Cpu>> layers_;
  std::vector<LayerOutput<Cpu>> outputs_;
  std::int64_t dim_ = 0;
};

/// A whole model on one rank.
class Training {
 public:
  Training(TableSet<Cpu>& tables, Stream<Cpu>& stream, const GoldenValue& value)
      : tables_(tables),
        stream_(stream),
        learning_(learning_of(value["optimizer"].text())),
        factors_(tables, stream, value, "v", learning_.optimizer),
        linear_(tables, stream, value, "w", learning_.optimizer),
        case_(model_case(value["model"].text(), value["parameters"],
                         static_cast<std::int64_t>(value["fields"].list().size()), factors_.dim(),
                         value["steps"].list().at(0)["x"].tensor().shape.at(1))),
        optimizer_(stream, learning_.optimizer, case_.model->parameters().size()) {}

  void step(const GoldenValue& step, const std::string& at, GoldenCase& one) {
    SliceData& data = case_.data;
    data.factors = factors_.forward(stream_, step["ids"].list());
    data.linear = linear_.forward(stream_, step["ids"].list());
    data.dense = step["x"].tensor().floats();
    data.labels = step["label"].tensor().floats();
    data.samples = static_cast<std::int64_t>(data.labels.size());
    data.numbers.resize(data.labels.size());
    std::iota(data.numbers.begin(), data.numbers.end(), 0);
    StepContext context;
    context.valid_samples = data.samples;
    Workspace<Cpu> workspace(stream_);
    const SliceRun run = run_slice(*case_.model, data, case_.numbers(), context, workspace);
    compare(run, step, at, one);
    learn(run);
  }

  void compare_after(const GoldenValue& after, GoldenCase& one) {
    compare_parameters("after: ", case_.model->parameters(), case_.parameters, after["parameters"],
                       learning_.tolerance, one);
    factors_.compare(stream_, after, "v", learning_.tolerance, one);
    linear_.compare(stream_, after, "w", learning_.tolerance, one);
  }

 private:
  void compare(const SliceRun& run, const GoldenValue& step, const std::string& at,
               GoldenCase& one) const {
    const double tolerance = learning_.tolerance;
    const Numbers& logits = step["logit"].tensor().reals;
    one.near(at + "logit", run.logits, logits, close_to(logits, tolerance, tolerance));
    const double loss = step["loss"].number();
    one.near(at + "loss", run.losses[0] / static_cast<double>(case_.data.samples), loss,
             close_to({loss}, tolerance, tolerance).front());
  }

  /// One step of layers and dense parameters; a layer that the model does not read has no gradient.
  void learn(const SliceRun& run) {
    for (const std::string& group : column_groups(case_.options.type)) {
      const bool linear = group == "linear";
      (linear ? linear_ : factors_).backward(stream_, linear ? run.linear : run.factors);
    }
    tables_.apply(stream_, UpdateContext{});
    optimizer_.step(stream_, 1, run.parameters.data(), case_.parameters.data());
  }

  TableSet<Cpu>& tables_;
  Stream<Cpu>& stream_;
  Learning learning_;
  FieldLayers factors_;
  FieldLayers linear_;
  ModelCase case_;
  DenseOptimizer<Cpu> optimizer_;
};

void run_trained(const GoldenValue& value, GoldenCase& one) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Training training(tables, stream, value);
    const GoldenValue::List& steps = value["steps"].list();
    for (std::size_t t = 0; t < steps.size(); ++t) {
      training.step(steps[t], fmt::format("step {}: ", t + 1), one);
    }
    training.compare_after(value["after"], one);
  });
}

}  // namespace

void run_training(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["training"].list()) {
    const std::string& optimizer = value["optimizer"].text();
    report.run(fmt::format("dense: training {} {}", value["model"].text(), optimizer), "six steps",
               [&](GoldenCase& one) { run_trained(value, one); });
  }
}

}  // namespace keyshard::testing
