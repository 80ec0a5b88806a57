// Reads data on several ranks and joins the batches of a step by sample number. All tests of
// readers compare such steps.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "io/data_options.hpp"
#include "io/data_reader.hpp"

namespace keyshard::testing {

struct Sample {
  std::int64_t record = 0;
  float label = 0;
  float weight = 1;
  std::vector<float> dense;
  std::vector<std::vector<Key>> bags;
  std::vector<std::vector<float>> id_weights = {};  ///< of the bags, where ids have weights

  bool operator==(const Sample&) const = default;
};

/// Samples of a global batch by number.
using StepSamples = std::map<std::int64_t, Sample>;

/// Part of a reading: from a position on, a number of steps (over the ends of epochs).
struct Stretch {
  std::int64_t steps = -1;  ///< -1: to the end of the epoch
  ReaderPosition from = {};
  bool seek = false;
  int read_ahead = 0;
};

/// The steps of a stretch as read on `ranks` ranks; `end` gets the position after it. Fails the
/// test where two ranks have the same sample, or see different ends.
std::vector<StepSamples> read_steps(const DataOptions& options, Split split, const ReadPlan& plan,
                                    int ranks, const Stretch& stretch = {},
                                    ReaderPosition* end = nullptr);

/// All samples of one epoch in input order, on one rank.
std::vector<Sample> read_in_order(DataOptions options, Split split = Split::train);

/// The error of reading on one rank; empty: none.
std::string complaint(const DataOptions& options);

/// A new file in the folder of the running test. Returns its path.
std::string write_text(const std::string& name, const std::string& content);

ColumnOptions make_column(const std::string& name, std::int64_t index, ColumnRole role);

}  // namespace keyshard::testing
