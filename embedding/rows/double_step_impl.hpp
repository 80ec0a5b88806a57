// The bodies of the step of rows of doubles.
#pragma once

#include "embedding/rows/double_step.hpp"
#include "embedding/rows/update_row.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

/// One step of a group: the values w, their states and the gradient g.
template <class Team>
KEYSHARD_HD void step_doubles(const Team& team, const GroupRef& group, std::uint32_t occurrences,
                              double* w, double* state, double* g) {
  if (group.max_norm > 0) {
    project_gradient(team, group.dim, group.max_norm, w, g);
  }
  if (group.regularized) {
    regularize(team, group, occurrences, w, g);
  }
  visit_variant(group.optimizer,
                [&](const auto& rule) { rule.update(team, w, state, g, group.dim, group.step); });
  if (group.max_norm > 0) {
    clip_row(team, group.dim, group.max_norm, w);
  }
}

template <class Team>
KEYSHARD_HD void DoubleSteps::Row::operator()(std::int64_t i, const Team& team) const {
  const RowId id = rows[i];
  if (id == kNoRow) {
    return;  // not admitted; every lane returns
  }
  if (id >= first_new) {
    initialize(team, *table, keys[i], id);
    team.sync();
  }
  const std::int64_t k = i - call.first;
  float* row = table->store.row(id);
  double* values = numbers_at<double>(row);
  double* gradients = numbers_at<double>(call.values + k * call.dim);
  for (std::int64_t g = 0; g < table->num_groups; ++g) {
    const GroupRef& group = table->groups[g];
    step_doubles(team, group, call.occurrences == nullptr ? 1 : call.occurrences[k],
                 values + group.offset, numbers_at<double>(row + group.state_offset),
                 gradients + group.offset);
  }
  table->status.touch(team, id);
}

template <Backend B>
void update_double_rows(Stream<B>& stream, const TableRefs<B>& refs, const DoubleSteps& steps,
                        Span<const std::int64_t> starts) {
  for (std::int64_t t = 0; t < refs.size(); ++t) {
    if (refs.dtype(t) == ValueDtype::float64) {
      return for_each_run(stream, starts, steps);
    }
  }
}

}  // namespace keyshard
