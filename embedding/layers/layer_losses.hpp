// The losses of a layer: numbers of the calls since the last optimizer step, then callables, which
// are evaluated whenever the losses are read.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"

namespace keyshard {

class LayerLosses {
 public:
  /// The losses of a layer of this name, for messages.
  explicit LayerLosses(std::string layer) : layer_(std::move(layer)) {}

  /// Adds numbers of a call that is made after `step` optimizer steps. Numbers of earlier steps are
  /// dropped.
  void add(const std::vector<double>& losses, std::int64_t step);

  /// Adds a callable.
  void add(std::function<double()> loss) { callables_.push_back(std::move(loss)); }

  /// The losses at `step`, in order. Throws Error{invalid_argument} on every rank where the ranks
  /// do not have the same losses, bit for bit. Collective.
  std::vector<double> read(Communicator<Cpu>& communicator, std::int64_t step);

 private:
  std::string layer_;
  std::vector<double> numbers_;
  std::int64_t step_ = 0;
  std::vector<std::function<double()>> callables_;
};

}  // namespace keyshard
