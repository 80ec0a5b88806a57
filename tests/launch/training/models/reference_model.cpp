#include "tests/launch/training/models/reference_model.hpp"

#include <cmath>

#include <gtest/gtest.h>

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
    return product(h, parameter("W" + name), parameter("b" + name));
  }

  static Rows product(const Rows& h, const Numbers& weight, const Numbers& bias) {
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

  /// x_{l+1} = x_0 * (x_l W_l + b_l) + x_l.
  Rows cross(const Rows& first) const {
    Rows x = first;
    for (std::int64_t l = 1; l <= model.options.cross_layers; ++l) {
      const std::string name = "cross" + std::to_string(l);
      const auto rank = static_cast<std::size_t>(model.options.cross_rank);
      const Rows y = rank == 0 ? product(x, name)
                               : product(product(x, parameter("V" + name), Numbers(rank, 0.0)),
                                         parameter("U" + name), parameter("b" + name));
      for (std::size_t s = 0; s < x.size(); ++s) {
        for (std::size_t j = 0; j < x[s].size(); ++j) {
          x[s][j] += first[s][j] * y[s][j];
        }
      }
    }
    return x;
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

/// What the top network of DLRM reads: z, and the dots of t = (z, v).
Numbers dots_of(const Numbers& z, const Numbers& v) {
  Numbers t = z;
  t.insert(t.end(), v.begin(), v.end());
  Numbers result = z;
  for (std::size_t i = 1; i < t.size() / z.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      result.push_back(dot(t, i, j, z.size()));
    }
  }
  return result;
}

/// The terms of a logit that are no network.
double shallow(const ReferenceModel& model, std::size_t sample) {
  const ModelType type = model.options.type;
  if (type == ModelType::mlp || type == ModelType::dlrm || type == ModelType::dcnv2) {
    return 0;
  }
  double y = model.parameters.at("bias")[0];
  const Numbers x = row_of(model.dense, model.samples, sample);
  for (std::size_t j = 0; j < x.size(); ++j) {
    y += x[j] * model.parameters.at("wx")[j];
  }
  for (const double w : row_of(model.linear, model.samples, sample)) {
    y += w;
  }
  if (type == ModelType::fm || type == ModelType::mf || type == ModelType::deepfm) {
    const Numbers v = row_of(model.factors, model.samples, sample);
    const std::size_t dim = static_cast<std::size_t>(model.shape.factor_dims[0]);
    for (std::size_t i = 1; i < v.size() / dim; ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        y += dot(v, i, j, dim);
      }
    }
  }
  return y;
}

}  // namespace

std::vector<double> ReferenceModel::logits() const {
  Network network{*this};
  Rows deep;
  Rows x;
  Numbers y;
  for (std::size_t s = 0; s < static_cast<std::size_t>(samples); ++s) {
    deep.push_back(row_of(factors, samples, s));
    x.push_back(row_of(dense, samples, s));
    y.push_back(shallow(*this, s));
  }
  if (!has_network(options.type)) {
    return y;
  }
  const bool dlrm = options.type == ModelType::dlrm;
  const Rows bottom = dlrm ? network.run(x, "bottom", true) : Rows{};
  for (std::size_t s = 0; s < deep.size(); ++s) {
    if (dlrm) {
      deep[s] = dots_of(bottom[s], deep[s]);
    } else {
      deep[s].insert(deep[s].end(), x[s].begin(), x[s].end());
    }
  }
  const bool crosses = options.type == ModelType::dcnv2;
  const Rows crossed = crosses ? network.cross(deep) : Rows{};
  const Rows out = network.run(crosses && options.stacked ? crossed : deep, "", false);
  if (crosses && !options.stacked) {
    const Rows terms = Network::product(crossed, parameters.at("wcross"), {0.0});
    for (std::size_t s = 0; s < terms.size(); ++s) {
      y[s] += terms[s][0];
    }
  }
  for (std::size_t s = 0; s < out.size(); ++s) {
    y[s] += out[s][0];
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

void expect_close(const std::vector<float>& found, const Numbers& expected, double tolerance,
                  const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  double largest = 1;
  for (const double e : expected) {
    largest = std::fmax(largest, std::fabs(e));
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(found[i]), expected[i],
                tolerance * (std::fabs(expected[i]) + largest))
        << what << "[" << i << "]";
  }
}

}  // namespace keyshard::testing
