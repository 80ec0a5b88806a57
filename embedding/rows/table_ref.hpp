// A table as functors see it: borrowed, trivially copyable, on the device that holds the rows. A
// TableRef is good until the table gets rows or makes a step.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <variant>

#include "embedding/rows/key_index.hpp"
#include "embedding/rows/row_store.hpp"
#include "embedding/rows/value_dtype.hpp"
#include "embedding/rules/initializers.hpp"
#include "embedding/rules/optimizers.hpp"
#include "embedding/rules/partitioners.hpp"
#include "embedding/rules/policies.hpp"
#include "runtime/prefetch.hpp"
#include "runtime/visit.hpp"

namespace keyshard {

template <class Rules>
struct MostStates;

template <class... Rule>
struct MostStates<std::variant<Rule...>> {
  static constexpr int kValue = std::max({Rule::kStates...});
};

/// The most states that an optimizer of the closed set has.
inline constexpr int kMaxStates = MostStates<Optimizer>::kValue;

/// One state of a group: `width` numbers of every row, `initial` in a new one.
struct StateRef {
  std::int64_t width;
  double initial;
};

/// One column group, and what the present step does to it. `offset` and `dim` count values.
struct GroupRef {
  Initializer initializer;
  std::uint64_t seed;   ///< of initial values
  std::int64_t offset;  ///< of the values among those of a row, and in its gradient
  std::int64_t dim;
  std::int64_t state_offset;  ///< in a row, in floats
  StateRef states[kMaxStates];
  int num_states;
  double max_norm;  ///< of the values; 0: none
  Optimizer optimizer;
  StepScalars step;
  bool regularized;        ///< any of what follows is not 0
  double clip_value;       ///< 0: none
  double clip_norm;        ///< 0: none
  bool l2_per_occurrence;  ///< l2 counts once per occurrence of the key, not once per step
  double l2;               ///< divided by the valid samples where it counts per occurrence
  double decay;            ///< learning rate of the step * weight decay
};

/// The statuses of the rows, and which rows have changed since a mark. They lie apart from values
/// and states: only an update touches them, and a lookup reads no more bytes for them. A status is
/// kept as the bits of a float.
struct StatusRef {
  RestrictPolicy policy;
  RowStoreRef store;         ///< rows of one number
  std::uint32_t now;         ///< what a policy takes for the time
  RowStoreRef changed = {};  ///< rows of one number, not 0 where the row has changed
  bool follows = false;      ///< whether changes are followed

  KEYSHARD_HD std::uint32_t at(RowId row) const {
    return std::bit_cast<std::uint32_t>(*store.row(row));
  }

  /// Whether rows have a status.
  KEYSHARD_HD bool kept() const { return policy.index() != 0; }

  /// Whether a step leaves a trace of a row.
  KEYSHARD_HD bool traced() const { return kept() || follows; }

  /// Of a row that may be kNoRow, where rows have a status.
  KEYSHARD_HD void fetch(RowId row) const {
    if (row != kNoRow) {
      prefetch_to_write(store.row(row), 1);
    }
  }

  /// Writes the status of a new row.
  template <class Team>
  KEYSHARD_HD void bear(const Team& team, RowId row) const {
    note(team, row);
    write(team, row, [&](const auto& rule) { return rule.birth(now); });
  }

  /// Counts an optimizer step of a row.
  template <class Team>
  KEYSHARD_HD void touch(const Team& team, RowId row) const {
    note(team, row);
    write(team, row, [&](const auto& rule) { return rule.touched(at(row), now); });
  }

  /// Row `to` takes the place of row `from`.
  KEYSHARD_HD void move(RowId from, RowId to) const {
    if (policy.index() != 0) {
      *store.row(to) = *store.row(from);
    }
    if (follows) {
      *changed.row(to) = *changed.row(from);
    }
  }

 private:
  template <class Team>
  KEYSHARD_HD void note(const Team& team, RowId row) const {
    if (follows && team.thread_rank() == 0) {
      *changed.row(row) = 1.0f;
    }
  }

  template <class Team, class Status>
  KEYSHARD_HD void write(const Team& team, RowId row, const Status& status) const {
    if (policy.index() == 0 || team.thread_rank() != 0) {
      return;
    }
    visit_variant(policy, [&](const auto& rule) {
      if constexpr (requires { rule.birth(0u); }) {
        *store.row(row) = std::bit_cast<float>(status(rule));
      }
    });
  }
};

struct TableRef {
  KeyIndexRef index;
  RowStoreRef store;
  StatusRef status;
  Partitioner partitioner;
  const GroupRef* groups;
  std::int64_t num_groups;
  std::int64_t dim;  ///< floats that the values of all groups take (floats_of)
  bool zeros;        ///< an absent key reads as zeros in inference
  ValueDtype dtype = ValueDtype::float32;  ///< of the values in the rows

  /// Whether a step of the values of a row, as floats, is the rule of its one group and nothing
  /// else; `first` is groups[0].
  KEYSHARD_HD bool has_rule_alone(const GroupRef& first) const {
    return num_groups == 1 && !(first.max_norm > 0) && !first.regularized;
  }
};

}  // namespace keyshard
