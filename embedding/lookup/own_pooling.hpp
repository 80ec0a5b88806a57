// The state of a combiner of the program, as lookups use it: functions that stand where the
// functors of a lookup are compiled for a built-in combiner (own_states.hpp compiles them from the
// struct), and the launches that call them. Where no combiner of the program has a state, none of
// these launches is made.
#pragma once

#include <cstdint>

#include "embedding/lookup/reduced.hpp"
#include "embedding/rules/own_combiner.hpp"
#include "runtime/copy.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

/// What the state of a program's struct is compiled to. States and backward messages are bytes
/// here.
struct PoolingFunctions {
  std::int64_t state_bytes;  ///< of a column
  std::int64_t back_bytes;   ///< of a column
  std::int64_t alignment;    ///< that both need, in bytes

  /// PoolBag of a bag that is not empty; `shards` is null where it is pooled in its order.
  void (*pool)(const BagItems& bag, const FeatureGroup& group, const std::uint16_t* shards,
               std::byte* kept, float* out);
  /// The gradients of the rows of a bag from its kept states.
  void (*back)(const BagRows& rows, const std::byte* kept, const float* gradient,
               const BagGradients& gradients);
  /// ReduceParts of a column group of a part.
  void (*reduce)(const ReduceParts& all, const BagPart& part, const FeatureGroup& group);
  /// MergeBags of a column group of a bag.
  void (*merge)(const MergeBags& all, std::int64_t bag, const FeatureGroup& group,
                MatrixView<float> pooled);
  /// WriteBacks of a column group of a part.
  void (*write_back)(const WriteBacks& all, const BagPart& part, const FeatureGroup& group,
                     MatrixView<const float> upstream);
  /// Puts or adds the term of a row `x` of `width` columns to a sum, from backward messages that
  /// begin at `column`.
  void (*add_term)(const std::byte* backs, std::int64_t column, std::int64_t width, const float* x,
                   bool starts, float* sum);
};

/// Whether a combiner of the program has a state.
inline bool has_state(const OwnCombiner& combiner) {
  return combiner.functions->pooling != nullptr;
}

/// Calls body(functions, group, g) for each group g of a feature that a combiner of the program
/// with a state pools.
template <class Body>
KEYSHARD_HD void for_own_states(const ShapeRef& shape, const OwnCombiner* combiners,
                                std::int64_t feature, const Body& body) {
  for (std::int64_t g = 0; g < shape.num_groups; ++g) {
    const FeatureGroup& group = shape.groups[feature * shape.num_groups + g];
    if (group.plain_kind == kOwnState) {
      body(*combiners[group.own].functions->pooling, group, g);
    }
  }
}

/// ReduceParts of the groups of combiners of the program.
struct ReduceOwnParts {
  ReduceParts all;
  const OwnCombiner* combiners;

  KEYSHARD_HD void operator()(std::int64_t p) const {
    const BagPart& part = all.parts[p];
    for_own_states(all.shape, combiners, part.feature,
                   [&](const PoolingFunctions& functions, const FeatureGroup& group, std::int64_t) {
                     functions.reduce(all, part, group);
                   });
  }
};

/// MergeBags of the groups of combiners of the program.
struct MergeOwnBags {
  MergeBags all;
  const OwnCombiner* combiners;

  KEYSHARD_HD void operator()(std::int64_t bag) const {
    const std::int64_t f = bag % all.shape.num_features;
    if (all.reduced[all.shape.features[f].table] == 0) {
      return;
    }
    for_own_states(all.shape, combiners, f,
                   [&](const PoolingFunctions& functions, const FeatureGroup& group,
                       std::int64_t g) { functions.merge(all, bag, group, all.pooled[g]); });
  }
};

/// WriteBacks of the groups of combiners of the program.
struct WriteOwnBacks {
  WriteBacks all;
  const OwnCombiner* combiners;

  KEYSHARD_HD void operator()(std::int64_t p) const {
    const BagPart& part = all.parts[p];
    for_own_states(
        all.shape, combiners, part.feature,
        [&](const PoolingFunctions& functions, const FeatureGroup& group, std::int64_t g) {
          functions.write_back(all, part, group, all.upstream[g]);
        });
  }
};

/// Launches Own{all, combiners} n times where the program has combiners.
template <class Own, Backend B, class All>
void for_own_combiners(Stream<B>& stream, const LookupShape& shape, std::int64_t n,
                       const All& all) {
  if (shape.own_combiners.empty()) {
    return;
  }
  Buffer<OwnCombiner, B> storage;
  for_each(stream, n, Own{all, device_view<OwnCombiner>(stream, shape.own_combiners, storage)});
}

}  // namespace keyshard
