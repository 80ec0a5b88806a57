// A combiner of a program: a forward and a backward function over the rows of a bag, which stand in
// the order of the bag, on any number of ranks. Functions of a whole bag cannot be made of parts of
// it, so its table answers with rows; a combiner with a state (lookup/own_states.hpp) can be pooled
// in parts, in every exchange mode. A struct has
//   void forward(const BagRows& rows, float* out) const;
//   void backward(const BagRows& rows, const float* gradient, const BagGradients& gradients) const;
// and a `kName`, which may be absent. own_combiner (own_rules.hpp) makes it from the struct. A bag
// without ids gives zeros and no gradient, and reaches neither function. Threads call both.
#pragma once

#include <cstdint>

#include "embedding/rules/own_rule.hpp"

namespace keyshard {

/// The rows of one bag; row j has `dim` numbers at rows[j].
struct BagRows {
  std::int64_t n;
  std::int64_t dim;
  const float* values;
  std::int64_t width;           ///< floats from one item to the next, where `offsets` is null
  const std::int64_t* offsets;  ///< floats before each item
  const std::uint32_t* items;   ///< [n]; null: row j is item j

  KEYSHARD_HD std::int64_t size() const { return n; }

  KEYSHARD_HD const float* operator[](std::int64_t j) const {
    const std::int64_t item = items == nullptr ? j : items[j];
    return values + (offsets == nullptr ? item * width : offsets[item]);
  }
};

/// Where the gradient of each row of a bag belongs: `dim` numbers at gradients[j], 0 before.
struct BagGradients {
  float* values;
  std::int64_t width;
  const std::uint32_t* items;  ///< [n]; null: row j is item j

  KEYSHARD_HD float* operator[](std::int64_t j) const {
    return values + (items == nullptr ? j : std::int64_t{items[j]}) * width;
  }
};

struct PoolingFunctions;

/// What a program's struct is compiled to.
struct CombinerFunctions {
  const char* name;
  void (*forward)(const void* rule, const BagRows& rows, float* out);
  void (*backward)(const void* rule, const BagRows& rows, const float* gradient,
                   const BagGradients& gradients);
  const PoolingFunctions* pooling = nullptr;  ///< of its state (lookup/own_pooling.hpp); null: none
};

struct OwnCombiner : OwnRule<CombinerFunctions> {
  KEYSHARD_HD void forward(const BagRows& rows, float* out) const {
    functions->forward(rule(), rows, out);
  }

  KEYSHARD_HD void backward(const BagRows& rows, const float* gradient,
                            const BagGradients& gradients) const {
    functions->backward(rule(), rows, gradient, gradients);
  }
};

}  // namespace keyshard
