// The step of a row: the rule of each column group on the row of a key and its gradient, between
// what limits, regularizes and keeps the row.
#pragma once

#include <cstdint>
#include <iterator>
#include <type_traits>

#include "embedding/rows/row_functors.hpp"
#include "embedding/rows/row_values.hpp"
#include "embedding/rows/table_ref.hpp"
#include "embedding/rules/max_norm.hpp"
#include "embedding/rules/row_norm.hpp"
#include "runtime/columns.hpp"
#include "runtime/prefetch.hpp"
#include "runtime/visit.hpp"

namespace keyshard {

/// Clips the gradient g [dim] of a group by value, then by norm, as Regularization says.
template <class Team, class T>
KEYSHARD_HD void clip(const Team& team, const GroupRef& group, T* g) {
  if (group.clip_value > 0) {
    const T most = static_cast<T>(group.clip_value);
    for (std::int64_t d = team.thread_rank(); d < group.dim; d += team.num_threads()) {
      g[d] = g[d] > most ? most : g[d] < -most ? -most : g[d];
    }
  }
  if (group.clip_norm > 0) {
    const double most = static_cast<double>(static_cast<T>(group.clip_norm));
    const double norm = row_norm(team, group.dim, [&](std::int64_t d) { return g[d]; });
    if (norm > most) {
      for (std::int64_t d = team.thread_rank(); d < group.dim; d += team.num_threads()) {
        g[d] = static_cast<T>(static_cast<double>(g[d]) * (most / norm));
      }
    }
  }
}

/// Clips the gradient g [dim] of a group, adds L2 to it, and decays the weights w of the group, as
/// Regularization says.
template <class Team, class T>
KEYSHARD_HD void regularize(const Team& team, const GroupRef& group, std::uint32_t occurrences,
                            T* w, T* g) {
  clip(team, group, g);
  const T l2 = static_cast<T>(group.l2), decay = static_cast<T>(group.decay);
  const T factor = group.l2_per_occurrence ? l2 * static_cast<T>(occurrences) : l2;
  for (std::int64_t d = team.thread_rank(); d < group.dim; d += team.num_threads()) {
    const T before = w[d];
    g[d] = g[d] + factor * before;
    w[d] = before - decay * before;
  }
}

/// One step of a rule: of the values w [width], their states and the gradient g.
template <class Team, class Rule>
KEYSHARD_HD KEYSHARD_INLINE void run_rule(const Team& team, const Rule& rule, float* w,
                                          float* state, const float* g, std::int64_t width,
                                          const StepScalars& step) {
  if constexpr (Rule::kWidths == Widths::any) {
    rule.update(team, w, state, g, width, step);
  } else {
    with_width(width, [&](auto n) { rule.update(team, w, state, g, n, step); });
  }
}

/// What of a row and of its gradient a step of its groups works on.
struct RowStep {
  float* row;       ///< with its states
  float* values;    ///< of all groups, as floats
  float* gradient;  ///< of all groups
  std::uint32_t occurrences;

  /// What comes before the rule of a group.
  template <class Team>
  KEYSHARD_HD KEYSHARD_INLINE void prepare(const Team& team, const GroupRef& group) const {
    float* w = values + group.offset;
    float* g = gradient + group.offset;
    if (group.max_norm > 0) {
      project_gradient(team, group.dim, group.max_norm, w, g);
    }
    if (group.regularized) {
      regularize(team, group, occurrences, w, g);
    }
  }

  /// What comes behind it.
  template <class Team>
  KEYSHARD_HD KEYSHARD_INLINE void finish(const Team& team, const GroupRef& group) const {
    if (group.max_norm > 0) {
      clip_row(team, group.dim, group.max_norm, values + group.offset);
    }
  }

  /// Steps one group by `rule`, its optimizer.
  template <class Team, class Rule>
  KEYSHARD_HD KEYSHARD_INLINE void step(const Team& team, const GroupRef& group,
                                        const Rule& rule) const {
    prepare(team, group);
    run_rule(team, rule, values + group.offset, row + group.state_offset, gradient + group.offset,
             group.dim, group.step);
    finish(team, group);
  }

  /// Steps the groups after the first, each by its own optimizer. Not expanded in UpdateRow, which
  /// is compiled for every optimizer.
  template <class Team>
  KEYSHARD_NOINLINE KEYSHARD_HD void step_others(const Team& team, const TableRef& table) const {
    for (std::int64_t g = 1; g < table.num_groups; ++g) {
      visit_variant(table.groups[g].optimizer,
                    [&](const auto& rule) { step(team, table.groups[g], rule); });
    }
  }
};

/// Keys of a table that make a step. The gradients of key i, of all groups, lie at gradients +
/// (i - first) * dim, and may be changed.
struct UpdateRun {
  const Key* keys = nullptr;  ///< null where no row is new
  const RowId* rows;
  RowId first_new = kNoRow;  ///< rows from here on are new
  std::int64_t first = 0;
  float* gradients;
  const std::uint32_t* occurrences = nullptr;  ///< of key i at [i - first]; null: no group asks
  WideValues wide = {};                        ///< of key i at i - first
};

/// One step of key i of a run. A row that is new is initialized first; a key without a row was not
/// admitted and has no step. `O` is the optimizer of the first group, the same for a whole run.
/// `Held` is how the table is held, and with it the optimizer and the numbers of the step: a copy,
/// or a reference where lanes of a device share the row, for each of them would keep the copy in
/// registers or memory of its own.
template <class O, class Held = TableRef>
struct UpdateRow {
  template <class T>
  using Kept = std::conditional_t<std::is_reference_v<Held>, const T&, T>;

  Held table;
  Kept<O> optimizer;
  UpdateRun run;
  Kept<StepScalars> step;  ///< of the first group, as are width and state_offset
  std::int64_t width;      ///< of its values, which are the first of a row
  std::int64_t state_offset;
  bool rule_alone;  ///< TableRef::has_rule_alone
  bool traced;      ///< StatusRef::traced

  /// `group` is of.groups[0], which a host can read.
  KEYSHARD_HD KEYSHARD_INLINE UpdateRow(const TableRef& of, const GroupRef& group, const O& rule,
                                        const UpdateRun& keys)
      : table(of),
        optimizer(rule),
        run(keys),
        step(group.step),
        width(group.dim),
        state_offset(group.state_offset),
        rule_alone(of.has_rule_alone(group)),
        traced(of.status.traced()) {}

  KEYSHARD_HD void fetch_range(std::int64_t begin, std::int64_t end) const {
    for (std::int64_t i = begin; i < end; ++i) {
      if (run.rows[i] != kNoRow) {
        prefetch_to_write(table.store.row(run.rows[i]), table.store.stride);
      }
    }
    if (table.status.kept()) {
      for (std::int64_t i = begin; i < end; ++i) {
        table.status.fetch(run.rows[i]);
      }
    }
  }

  template <class Team>
  KEYSHARD_HD KEYSHARD_INLINE void operator()(std::int64_t i, const Team& team) const {
    const RowId id = run.rows[i];
    if (id == kNoRow) {
      return;  // not admitted; every lane returns
    }
    float own[kLaneColumns<Team>];  // of a lane that is alone: a copy that stays in its cache
    float* copy =
        std::is_same_v<Team, Solo> && run.wide.values != nullptr && table.dim <= std::ssize(own)
            ? own
            : run.wide.of_row(i - run.first, table.dim);
    if (id >= run.first_new) {
      initialize(team, table, run.keys[i], id, copy);
      team.sync();
    }
    const OpenRow open(table, id, copy);
    const RowStep one{open.row, open.values, run.gradients + (i - run.first) * table.dim,
                      run.occurrences == nullptr ? 1 : run.occurrences[i - run.first]};
    if (copy != nullptr) {
      open.load(team, table);
    }
    if (!rule_alone) {
      one.prepare(team, table.groups[0]);
    }
    run_rule(team, optimizer, one.values, one.row + state_offset, one.gradient, width, step);
    if (!rule_alone) {
      one.finish(team, table.groups[0]);
      if (table.num_groups > 1) {
        one.step_others(team, table);
      }
    }
    if (copy != nullptr) {
      open.store(team, table);
    }
    if (traced) {
      table.status.touch(team, id);
    }
  }
};

}  // namespace keyshard
