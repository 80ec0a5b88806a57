// The metrics of a layer: running means by name, added over slices, so that a result has the same
// bits on any number of ranks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "embedding/layers/layer_call.hpp"

namespace keyshard {

/// A running mean of all values that were added.
class LayerMetric {
 public:
  LayerMetric(std::string layer, std::string name)
      : layer_(std::move(layer)), name_(std::move(name)) {}

  const std::string& name() const noexcept { return name_; }

  /// The mean of the values of all ranks: values of a slice are added in the order in which they
  /// came, slices by the fold. 0 where there is none. Throws Error{invalid_argument} on every rank
  /// where ranks have added values of other numbers of slices. Collective.
  double result(Communicator<Cpu>& communicator) const;

  void reset();

 private:
  friend class LayerMetrics;

  /// Adds values [samples x k] of the samples of a rank; throws Error{invalid_argument} for another
  /// layout than before, and where the values are not as many for each sample.
  void add(const std::vector<double>& values, const SliceLayout& slices);

  std::string layer_;
  std::string name_;
  std::int64_t slices_ = 0;           // 0: nothing was added
  std::vector<double> sums_;          // of each slice of this rank
  std::vector<std::int64_t> counts_;  // of each slice of this rank
};

class LayerMetrics {
 public:
  explicit LayerMetrics(std::string layer) : layer_(std::move(layer)) {}

  /// Adds values of this rank to the metric of that name, which is made where there is none. Throws
  /// Error{invalid_argument} for no name, for another aggregation than mean, and as
  /// LayerMetric::add.
  void add(const std::vector<double>& values, const SliceLayout& slices,
           const std::optional<std::string>& name, const std::string& aggregation);

  /// In the order of first use. Pointers are good as long as the layer stands.
  std::vector<LayerMetric*> all() const;

 private:
  std::string layer_;
  std::vector<std::unique_ptr<LayerMetric>> metrics_;
};

}  // namespace keyshard
