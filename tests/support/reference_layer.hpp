// Layers over one table written from the definition: in one thread, in double, with maps. Results
// of the library are near these on any number of ranks.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "runtime/portable.hpp"

namespace keyshard::testing {

using Column = std::vector<double>;

/// Pools numbers x, of which there is at least one. `w` has their weights, or is empty.
double pool(const std::string& combiner, const Column& x, const Column& w);
/// The gradient of every number where that of the pooled number is g; 0 where there is none.
Column pool_gradient(const std::string& combiner, const Column& x, const Column& w, double g);

/// An id that counts.
struct ReferenceId {
  Key key;
  double weight = 1;
};

/// What becomes one vector: the pooled ids of one bag or, where bags are nested, the pooled vectors
/// of those bags that have ids. Where there are none, the vector is 0.
struct ReferenceSample {
  std::vector<std::vector<ReferenceId>> bags;
  bool nested = false;
};

/// What a step does to the gradient of a key and to its row.
struct ReferenceStep {
  double clip_value = 0, clip_norm = 0, l2 = 0;
  /// Changes w of one column by its gradient; the state of a new row is `initial_state`.
  std::function<void(double& w, double& state, double g)> update;
  double initial_state = 0;
};

class ReferenceTable {
 public:
  struct Row {
    std::vector<double> values, states;
  };

  ReferenceTable(std::function<std::vector<double>(Key)> initial, ReferenceStep step)
      : initial_(std::move(initial)), step_(std::move(step)) {}

  std::map<Key, Row>& rows() { return rows_; }

  std::vector<double> read(Key key) const;
  std::vector<double> value(const std::string& combiner, const ReferenceSample& sample) const;
  /// Adds the gradients of the ids to those of the next step.
  void backward(const std::string& combiner, const ReferenceSample& sample,
                const std::vector<double>& upstream);
  void apply();
  /// Makes `values` the row of a key, with initial states.
  void assign(Key key, const std::vector<double>& values);

 private:
  using Vectors = std::vector<std::vector<double>>;

  std::vector<double> pool_vectors(const std::string& combiner, const Vectors& x,
                                   const Column& w) const;
  Vectors gradients(const std::string& combiner, const Vectors& x, const Column& w,
                    const std::vector<double>& g) const;

  std::function<std::vector<double>(Key)> initial_;
  ReferenceStep step_;
  std::map<Key, Row> rows_;
  std::map<Key, std::vector<double>> sums_;
};

}  // namespace keyshard::testing
