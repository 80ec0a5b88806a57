#include "tests/support/reference_layer.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace keyshard::testing {
namespace {

double total(const Column& x, const std::function<double(double)>& term) {
  double sum = 0;
  for (const double value : x) {
    sum += term(value);
  }
  return sum;
}

double same(double x) { return x; }

double square(double x) { return x * x; }

/// What sum, mean and sqrtn divide by.
double divisor(const std::string& combiner, const Column& w) {
  return combiner == "mean"    ? total(w, same)
         : combiner == "sqrtn" ? std::sqrt(total(w, square))
                               : 1;
}

bool constant(const Column& x) {
  return std::all_of(x.begin(), x.end(), [&](double value) { return value == x[0]; });
}

double mean_of(const Column& x) { return total(x, same) / static_cast<double>(x.size()); }

double variance_of(const Column& x) {
  const double mean = mean_of(x);
  return constant(x)
             ? 0
             : total(x, [&](double v) { return square(v - mean); }) / static_cast<double>(x.size());
}

double log_sum_exp(const Column& x) {
  const double most = *std::max_element(x.begin(), x.end());
  return most + std::log(total(x, [&](double v) { return std::exp(v - most); }));
}

}  // namespace

double pool(const std::string& combiner, const Column& x, const Column& w) {
  if (combiner == "min" || combiner == "max") {
    return combiner == "min" ? *std::min_element(x.begin(), x.end())
                             : *std::max_element(x.begin(), x.end());
  }
  if (combiner == "prod") {
    return std::accumulate(x.begin(), x.end(), 1.0, std::multiplies<>());
  }
  if (combiner == "variance" || combiner == "std") {
    return combiner == "std" ? std::sqrt(variance_of(x)) : variance_of(x);
  }
  if (combiner == "logsumexp") {
    return log_sum_exp(x);
  }
  if (combiner == "euclidean_norm") {
    return std::sqrt(total(x, square));
  }
  const double by = divisor(combiner, w);
  return by == 0 ? 0 : std::inner_product(x.begin(), x.end(), w.begin(), 0.0) / by;
}

Column pool_gradient(const std::string& combiner, const Column& x, const Column& w, double g) {
  const auto n = static_cast<double>(x.size());
  const double value = pool(combiner, x, w);
  const auto ties = static_cast<double>(std::count(x.begin(), x.end(), value));
  Column out;
  for (std::size_t i = 0; i < x.size(); ++i) {
    double factor = 0;
    if (combiner == "min" || combiner == "max") {
      factor = x[i] == value ? 1 / ties : 0;
    } else if (combiner == "prod") {
      factor = 1;
      for (std::size_t k = 0; k < x.size(); ++k) {
        factor *= k == i ? 1 : x[k];
      }
    } else if (combiner == "variance") {
      factor = 2 * (x[i] - mean_of(x)) / n;
    } else if (combiner == "std") {
      factor = value == 0 ? 0 : (x[i] - mean_of(x)) / (n * value);
    } else if (combiner == "logsumexp") {
      factor = std::exp(x[i] - value);
    } else if (combiner == "euclidean_norm") {
      factor = value == 0 ? 0 : x[i] / value;
    } else {
      const double by = divisor(combiner, w);
      factor = by == 0 ? 0 : w[i] / by;
    }
    out.push_back(g * factor);
  }
  return out;
}

std::vector<double> ReferenceTable::read(Key key) const {
  const auto row = rows_.find(key);
  return row == rows_.end() ? initial_(key) : row->second.values;
}

std::vector<double> ReferenceTable::pool_vectors(const std::string& combiner, const Vectors& x,
                                                 const Column& w) const {
  std::vector<double> out(initial_(0).size());
  for (std::size_t d = 0; d < out.size() && !x.empty(); ++d) {
    Column column;
    for (const std::vector<double>& vector : x) {
      column.push_back(vector[d]);
    }
    out[d] = pool(combiner, column, w);
  }
  return out;
}

ReferenceTable::Vectors ReferenceTable::gradients(const std::string& combiner, const Vectors& x,
                                                  const Column& w,
                                                  const std::vector<double>& g) const {
  Vectors out(x.size(), std::vector<double>(g.size()));
  for (std::size_t d = 0; d < g.size() && !x.empty(); ++d) {
    Column column;
    for (const std::vector<double>& vector : x) {
      column.push_back(vector[d]);
    }
    const Column of_column = pool_gradient(combiner, column, w, g[d]);
    for (std::size_t i = 0; i < x.size(); ++i) {
      out[i][d] = of_column[i];
    }
  }
  return out;
}

namespace {

/// The bags of a sample that have ids.
std::vector<std::vector<ReferenceId>> present(const ReferenceSample& sample) {
  std::vector<std::vector<ReferenceId>> out;
  std::copy_if(sample.bags.begin(), sample.bags.end(), std::back_inserter(out),
               [](const auto& ids) { return !ids.empty(); });
  return out;
}

Column weights_of(const std::vector<ReferenceId>& ids) {
  Column weights;
  for (const ReferenceId& id : ids) {
    weights.push_back(id.weight);
  }
  return weights;
}

}  // namespace

std::vector<double> ReferenceTable::value(const std::string& combiner,
                                          const ReferenceSample& sample) const {
  Vectors pooled;
  for (const std::vector<ReferenceId>& ids : present(sample)) {
    Vectors rows;
    for (const ReferenceId& id : ids) {
      rows.push_back(read(id.key));
    }
    pooled.push_back(pool_vectors(combiner, rows, weights_of(ids)));
  }
  return pooled.empty() || sample.nested ? pool_vectors(combiner, pooled, Column(pooled.size(), 1))
                                         : pooled[0];
}

void ReferenceTable::backward(const std::string& combiner, const ReferenceSample& sample,
                              const std::vector<double>& upstream) {
  const auto bags = present(sample);
  std::vector<Vectors> rows;
  Vectors pooled;
  for (const std::vector<ReferenceId>& ids : bags) {
    Vectors& of_ids = rows.emplace_back();
    for (const ReferenceId& id : ids) {
      of_ids.push_back(read(id.key));
    }
    pooled.push_back(pool_vectors(combiner, of_ids, weights_of(ids)));
  }
  const Vectors outer = sample.nested
                            ? gradients(combiner, pooled, Column(pooled.size(), 1), upstream)
                            : Vectors(pooled.size(), upstream);
  for (std::size_t b = 0; b < bags.size(); ++b) {
    const Vectors inner = gradients(combiner, rows[b], weights_of(bags[b]), outer[b]);
    for (std::size_t i = 0; i < inner.size(); ++i) {
      std::vector<double>& sum = sums_[bags[b][i].key];
      sum.resize(upstream.size());
      std::transform(inner[i].begin(), inner[i].end(), sum.begin(), sum.begin(), std::plus<>());
    }
  }
}

void ReferenceTable::apply() {
  for (auto& [key, g] : sums_) {
    if (rows_.find(key) == rows_.end()) {
      assign(key, initial_(key));
    }
    Row& row = rows_[key];
    for (double& x : g) {
      x = step_.clip_value > 0 ? std::clamp(x, -step_.clip_value, step_.clip_value) : x;
    }
    const double norm = std::sqrt(total(g, square));
    const double scale = step_.clip_norm > 0 && norm > step_.clip_norm ? step_.clip_norm / norm : 1;
    for (std::size_t d = 0; d < g.size(); ++d) {
      step_.update(row.values[d], row.states[d], g[d] * scale + step_.l2 * row.values[d]);
    }
  }
  sums_.clear();
}

void ReferenceTable::assign(Key key, const std::vector<double>& values) {
  rows_[key] = {values, std::vector<double>(values.size(), step_.initial_state)};
}

}  // namespace keyshard::testing
