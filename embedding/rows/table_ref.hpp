// A table as functors see it: borrowed, trivially copyable, on the device that holds the rows. A
// TableRef is good until the table gets rows or makes a step.
#pragma once

#include <algorithm>
#include <cstdint>
#include <variant>

#include "embedding/rows/key_index.hpp"
#include "embedding/rows/row_store.hpp"
#include "embedding/rules/initializers.hpp"
#include "embedding/rules/optimizers.hpp"
#include "embedding/rules/partitioners.hpp"

namespace keyshard {

template <class Rules>
struct MostStates;

template <class... Rule>
struct MostStates<std::variant<Rule...>> {
  static constexpr int kValue = std::max({Rule::kStates...});
};

/// The most states that an optimizer of the closed set has.
inline constexpr int kMaxStates = MostStates<Optimizer>::kValue;

/// One state of a group: `width` floats of every row, `initial` in a new one.
struct StateRef {
  std::int64_t width;
  float initial;
};

/// One column group, and what the present step does to it.
struct GroupRef {
  Initializer initializer;
  std::uint64_t seed;   ///< of initial values
  std::int64_t offset;  ///< of the values in a row, and in its gradient
  std::int64_t dim;
  std::int64_t state_offset;  ///< in a row
  StateRef states[kMaxStates];
  int num_states;
  Optimizer optimizer;
  StepScalars step;
  bool shrinks;            ///< l2 or decay is not 0
  bool l2_per_occurrence;  ///< l2 counts once per occurrence of the key, not once per step
  float l2;                ///< divided by the valid samples where it counts per occurrence
  float decay;             ///< learning rate of the step * weight decay
};

struct TableRef {
  KeyIndexRef index;
  RowStoreRef store;
  Partitioner partitioner;
  const GroupRef* groups;
  std::int64_t num_groups;
  std::int64_t dim;  ///< values of all groups
  bool zeros;        ///< an absent key reads as zeros in inference
};

}  // namespace keyshard
