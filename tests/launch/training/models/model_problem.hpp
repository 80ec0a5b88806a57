// Models with numbers for everything, for the tests.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "launch/training/models/model.hpp"
#include "tests/launch/training/models/model_run.hpp"

namespace keyshard::testing {

inline constexpr ModelType kTypes[] = {ModelType::logistic, ModelType::mlp,      ModelType::fm,
                                       ModelType::mf,       ModelType::widedeep, ModelType::deepfm,
                                       ModelType::dlrm,     ModelType::dcnv2};

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

inline std::vector<float> random_floats(std::mt19937_64& random, std::int64_t n) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) {
    value = uniform(random);
  }
  return values;
}

inline SliceData random_slice(const ModelShape& shape, std::int64_t samples, unsigned seed) {
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

inline Problem make_problem(ModelType type, std::int64_t samples) {
  Problem p;
  p.options.type = type;
  p.options.hidden = {7, 5};
  p.options.bottom = {6};
  p.options.cross_layers = 2;
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
  } else if (type == ModelType::widedeep || type == ModelType::mlp || type == ModelType::dcnv2) {
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

}  // namespace keyshard::testing
