// Which samples of evaluated data are new to a model: those whose ids of some features, taken
// together, never stand in one positive sample (label above 1/2) of the training data. The metrics
// of these samples show what a model predicts beyond the combinations that it has seen.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/batch.hpp"
#include "io/data_reader.hpp"
#include "launch/training/job_config.hpp"

namespace keyshard {

class UnseenIds {
 public:
  /// Reads the training data of the configuration, and `evaluated` to the end of its epoch. Keeps 8
  /// bytes per distinct combination of ids in `evaluated`, on every rank. Collective. Throws
  /// Error{invalid_argument} on all ranks where the training data comes through a pipe.
  UnseenIds(const JobConfig& config, DataReader& evaluated, Communicator<Cpu>& communicator,
            Stream<Cpu>& stream);

  /// Whether the ids of a sample of the evaluated data are new.
  bool contains(const Batch& batch, std::int64_t sample) const;

 private:
  std::uint64_t hash(const Batch& batch, std::int64_t sample) const;
  std::vector<std::uint64_t> distinct(DataReader& reader) const;

  std::vector<std::int64_t> features_;
  std::vector<std::uint64_t> unseen_;  // hashes, ascending, of the evaluated data of all ranks
};

}  // namespace keyshard
