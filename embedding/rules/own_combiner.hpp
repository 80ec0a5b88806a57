// A combiner of a program: a forward and a backward function over the rows of a bag, which stand in
// the order of the bag, on any number of ranks. Functions of a whole bag cannot be made of parts of
// it, so its table answers with rows; a combiner with a state (lookup/own_states.hpp) can be pooled
// in parts, in every exchange mode. A struct has
//   void forward(const BagRows& rows, float* out) const;
//   void backward(const BagRows& rows, const float* gradient, const BagGradients& gradients) const;
// or, for rows of doubles, too, templates over the number T of the row, with BagRowsOf<T>, T* and
// BagGradientsOf<T>; and a `kName`, which may be absent. own_combiner (own_rules.hpp) makes it from
// the struct. A bag without ids gives zeros and no gradient, and reaches neither function. Threads
// call both.
#pragma once

#include <cstdint>

#include "embedding/rules/own_rule.hpp"

namespace keyshard {

/// The rows of one bag; row j has `dim` numbers at rows[j].
template <class T>
struct BagRowsOf {
  std::int64_t n;
  std::int64_t dim;
  const T* values;
  std::int64_t width;           ///< numbers from one item to the next, where `offsets` is null
  const std::int64_t* offsets;  ///< floats before each item
  const std::uint32_t* items;   ///< [n]; null: row j is item j

  KEYSHARD_HD std::int64_t size() const { return n; }

  KEYSHARD_HD const T* operator[](std::int64_t j) const {
    constexpr std::int64_t kFloats = sizeof(T) / sizeof(float);
    const std::int64_t item = items == nullptr ? j : items[j];
    return values + (offsets == nullptr ? item * width : offsets[item] / kFloats);
  }
};

/// Where the gradient of each row of a bag belongs: `dim` numbers at gradients[j], 0 before.
template <class T>
struct BagGradientsOf {
  T* values;
  std::int64_t width;
  const std::uint32_t* items;  ///< [n]; null: row j is item j

  KEYSHARD_HD T* operator[](std::int64_t j) const {
    return values + (items == nullptr ? j : std::int64_t{items[j]}) * width;
  }
};

using BagRows = BagRowsOf<float>;
using BagGradients = BagGradientsOf<float>;

struct PoolingFunctions;

/// What a program's struct is compiled to.
struct CombinerFunctions {
  const char* name;
  void (*forward)(const void* rule, const BagRows& rows, float* out);
  void (*backward)(const void* rule, const BagRows& rows, const float* gradient,
                   const BagGradients& gradients);
  const PoolingFunctions* pooling = nullptr;  ///< of its state (lookup/own_pooling.hpp); null: none
  /// Of rows of doubles; null where the struct takes floats alone.
  void (*forward_doubles)(const void* rule, const BagRowsOf<double>& rows, double* out) = nullptr;
  void (*backward_doubles)(const void* rule, const BagRowsOf<double>& rows, const double* gradient,
                           const BagGradientsOf<double>& gradients) = nullptr;
};

struct OwnCombiner : OwnRule<CombinerFunctions> {
  KEYSHARD_HD void forward(const BagRows& rows, float* out) const {
    functions->forward(rule(), rows, out);
  }

  KEYSHARD_HD void backward(const BagRows& rows, const float* gradient,
                            const BagGradients& gradients) const {
    functions->backward(rule(), rows, gradient, gradients);
  }

  KEYSHARD_HD void forward(const BagRowsOf<double>& rows, double* out) const {
    functions->forward_doubles(rule(), rows, out);
  }

  KEYSHARD_HD void backward(const BagRowsOf<double>& rows, const double* gradient,
                            const BagGradientsOf<double>& gradients) const {
    functions->backward_doubles(rule(), rows, gradient, gradients);
  }
};

}  // namespace keyshard
