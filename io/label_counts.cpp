#include "io/label_counts.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/joined.hpp"
#include "runtime/shown.hpp"

namespace keyshard {

void LabelCounts::add(const Batch& batch) {
  samples_ += batch.samples();
  positive_ += std::count_if(batch.labels.begin(), batch.labels.end(),
                             [](float label) { return label > 0.5f; });
}

std::string LabelCounts::problem(Communicator<Cpu>& communicator, const DataOptions& options,
                                 Split split) const {
  std::int64_t counts[] = {samples_, positive_};
  communicator.all_reduce(Span<std::int64_t>(counts), Reduction::sum);
  const auto [samples, positive] = counts;
  if (samples == 0 || (positive > 0 && positive < samples)) {
    return "";
  }
  const auto label =
      std::find_if(options.columns.begin(), options.columns.end(),
                   [](const ColumnOptions& column) { return column.role == ColumnRole::label; });
  if (positive == 0 && label != options.columns.end() && !label->positive.empty()) {
    return fmt::format(
        "data.{}: no cell of column \"{}\" is one of positive = [{}], so all {} labels are 0",
        name_of(split), shown(label->name),
        shown(fmt::format("\"{}\"", joined(label->positive, "\", \""))), samples);
  }
  return fmt::format("data.{}: all {} labels are of one class: {}", name_of(split), samples,
                     positive == 0 ? "none is above 1/2" : "all are above 1/2");
}

}  // namespace keyshard
