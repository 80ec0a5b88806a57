#include "tests/launch/models/reference_model.hpp"

#include <cmath>

namespace keyshard::testing {
namespace {

using Rows = std::vector<Numbers>;  // [sample][unit]

/// The networks of one forward call; counts layers and places of statistics as the model does.
struct Network {
  const ReferenceModel& model;
  int layer = 0;
  std::size_t statistics = 0;

  const Numbers& parameter(const std::string& name) const { return model.parameters.at(name); }

  Rows run(Rows h, const std::string& suffix, bool relu_outputs) {
    for (int i = 1; model.parameters.count("W" + suffix + std::to_string(i)) > 0; ++i, ++layer) {
      const std::string name = suffix + std::to_string(i);
      const bool hidden = model.parameters.count("W" + suffix + std::to_string(i + 1)) > 0;
      h = product(h, name);
      if (hidden && model.options.batch_norm) {
        normalize(h, name);
      }
      for (std::size_t s = 0; s < h.size(); ++s) {
        for (std::size_t j = 0; j < h[s].size(); ++j) {
          if ((hidden || relu_outputs) && h[s][j] < 0) {
            h[s][j] = 0;
          }
          if (hidden && model.training) {
            h[s][j] *= kept(s, j);
          }
        }
      }
    }
    return h;
  }

  Rows product(const Rows& h, const std::string& name) const {
    const Numbers& weight = parameter("W" + name);
    const Numbers& bias = parameter("b" + name);
    Rows out(h.size(), bias);
    for (std::size_t s = 0; s < h.size(); ++s) {
      for (std::size_t i = 0; i < h[s].size(); ++i) {
        for (std::size_t j = 0; j < bias.size(); ++j) {
          out[s][j] += h[s][i] * weight[i * bias.size() + j];
        }
      }
    }
    return out;
  }

  void normalize(Rows& h, const std::string& name) {
    const std::size_t units = parameter("gamma" + name).size();
    const double n = static_cast<double>(h.size());
    for (std::size_t j = 0; j < units; ++j) {
      double mean = model.running[statistics + j];
      double variance = model.running[statistics + units + j];
      if (model.training && h.size() >= 8) {
        mean = variance = 0;
        for (const Numbers& row : h) {
          mean += row[j] / n;
        }
        for (const Numbers& row : h) {
          variance += (row[j] - mean) * (row[j] - mean) / n;
        }
      }
      for (Numbers& row : h) {
        row[j] = (row[j] - mean) / std::sqrt(variance + 1e-5) * parameter("gamma" + name)[j] +
                 parameter("beta" + name)[j];
      }
    }
    statistics += 2 * units;
  }

  double kept(std::size_t sample, std::size_t unit) const {
    const Dropout dropout(model.options.dropout);
    const std::uint64_t key =
        Dropout::row_key(model.context.seed, model.context.step, layer, model.numbers[sample]);
    return dropout.keeps(key, static_cast<std::int64_t>(unit)) ? double{dropout.scale()} : 0.0;
  }
};

Numbers row_of(const Numbers& values, std::int64_t samples, std::size_t sample) {
  const std::size_t cols = values.size() / static_cast<std::size_t>(samples);
  return {values.begin() + static_cast<std::ptrdiff_t>(sample * cols),
          values.begin() + static_cast<std::ptrdiff_t>((sample + 1) * cols)};
}

double dot(const Numbers& values, std::size_t a, std::size_t b, std::size_t dim) {
  double sum = 0;
  for (std::size_t d = 0; d < dim; ++d) {
    sum += values[a * dim + d] * values[b * dim + d];
  }
  return sum;
}

}  // namespace

std::vector<double> ReferenceModel::logits() const {
  Network network{*this};
  const ModelType type = options.type;
  const std::size_t n = static_cast<std::size_t>(samples);
  const std::size_t features = shape.features.size();
  const std::size_t dim =
      shape.factor_dims.empty() ? 0 : static_cast<std::size_t>(shape.factor_dims[0]);
  Numbers y(n, 0.0);
  Rows deep(n);

  Rows bottom(n);
  if (type == ModelType::dlrm) {
    for (std::size_t s = 0; s < n; ++s) {
      bottom[s] = row_of(dense, samples, s);
    }
    bottom = network.run(bottom, "bottom", true);
  }
  for (std::size_t s = 0; s < n; ++s) {
    const Numbers v = row_of(factors, samples, s);
    const Numbers x = row_of(dense, samples, s);
    if (type == ModelType::dlrm) {
      Numbers t = bottom[s];
      t.insert(t.end(), v.begin(), v.end());
      deep[s] = bottom[s];
      for (std::size_t i = 1; i <= features; ++i) {
        for (std::size_t j = 0; j < i; ++j) {
          deep[s].push_back(dot(t, i, j, dim));
        }
      }
      continue;
    }
    deep[s] = v;
    deep[s].insert(deep[s].end(), x.begin(), x.end());
    if (type != ModelType::mlp) {
      y[s] += parameters.at("bias")[0];
      for (std::size_t j = 0; j < x.size(); ++j) {
        y[s] += x[j] * parameters.at("wx")[j];
      }
      for (const double w : row_of(linear, samples, s)) {
        y[s] += w;
      }
    }
    if (type == ModelType::fm || type == ModelType::mf || type == ModelType::deepfm) {
      for (std::size_t i = 1; i < features; ++i) {
        for (std::size_t j = 0; j < i; ++j) {
          y[s] += dot(v, i, j, dim);
        }
      }
    }
  }
  if (has_network(type)) {
    const Rows out = network.run(deep, "", false);
    for (std::size_t s = 0; s < n; ++s) {
      y[s] += out[s][0];
    }
  }
  return y;
}

double ReferenceModel::loss() const {
  const Numbers y = logits();
  double sum = 0;
  for (std::size_t s = 0; s < y.size(); ++s) {
    const double loss =
        options.loss == Loss::squared_error
            ? (y[s] - labels[s]) * (y[s] - labels[s])
            : std::fmax(y[s], 0) - y[s] * labels[s] + std::log1p(std::exp(-std::fabs(y[s])));
    sum += (weights.empty() ? 1.0 : weights[s]) * loss;
  }
  return sum / static_cast<double>(context.valid_samples);
}

}  // namespace keyshard::testing
