// What a training has reported, as OUTPUT/metrics.jsonl tells it: each number of the lines as a
// curve over the steps. A line that cannot be read is named, and so is the return of a job that was
// resumed from a checkpoint before its last report.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/setting_value.hpp"

namespace keyshard {

struct CurvePoint {
  std::int64_t step = 0;
  double value = 0;  ///< NaN: undefined at this step
};

/// By ascending steps, each once.
using Curve = std::vector<CurvePoint>;

struct RunHistory {
  /// By kind and name, as "step/loss", "step/shares/read", "step/rows/C1" or "valid/auc".
  std::map<std::string, Curve> curves;
  /// The steps whose evaluation was the best until then.
  std::vector<std::int64_t> best_steps;
  /// A line per thing that a reader of the curves must know, with the number of its line.
  std::vector<std::string> notes;

  /// The last value of a curve; NaN where there is none.
  double last(const std::string& name) const;
};

/// The numbers of a report, of the members of its members too, each by its path with "/" between
/// the parts; a null is NaN. `step`, and what is no number, is left out.
std::vector<std::pair<std::string, double>> numbers_of(const SettingValue& report);

/// Reads metrics.jsonl in the folder of a job. Where a job was resumed, lines of steps that were
/// taken again replace the earlier ones. Throws Error{invalid_argument} where there is no such
/// file, and Error{corrupt_data} where it has no report.
RunHistory read_history(const std::string& folder);

}  // namespace keyshard
