// A click log made from numbers: every record is a pure function of (seed, split, record), with ids
// drawn by Zipf's law and a click drawn from a planted model. As the planted model is known, so is
// the best AUC that any model can reach on this log.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/data_options.hpp"
#include "io/data_reader.hpp"

namespace keyshard {

/// One generated record.
struct GeneratedRecord {
  float label = 0;
  double logit = 0;  ///< of the planted model: the click has probability 1 / (1 + e^-logit)
  std::vector<float> dense;
  std::vector<Key> ids;                 ///< of all features, one feature after another
  std::vector<std::int64_t> id_counts;  ///< [features]
};

class ClickGenerator {
 public:
  explicit ClickGenerator(const GeneratorOptions& options);

  /// Record number `record` of a split; test has the size of valid.
  void make(Split split, std::int64_t record, GeneratedRecord& out) const;
  std::int64_t records(Split split) const;

  /// The AUC of the planted logits on a split: no model can be expected to reach more.
  double best_auc(Split split) const;

 private:
  std::int64_t draw_rank(std::uint32_t word) const;

  GeneratorOptions options_;
  std::vector<double> cumulative_;  // of Zipf's law
  std::vector<float> dense_weights_;
};

std::unique_ptr<DataReader> make_generated_reader(const GeneratorOptions& options, Split split,
                                                  const ReadPlan& plan,
                                                  Communicator<Cpu>& communicator);

/// Writes a split as text: label, dense columns, id columns (lists with spaces), separated by tabs.
/// Throws Error{io}.
void write_generated_text(const GeneratorOptions& options, Split split, const std::string& path);

}  // namespace keyshard
