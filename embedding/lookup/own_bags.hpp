// Bags that a program's combiner pools, as functors: forward, and the gradients of all ids of such
// bags, which the sums per key then read (gradient_functors.hpp). The rows of a bag stand in the
// order of the bag.
#pragma once

#include <cstdint>

#include "embedding/lookup/asker.hpp"
#include "embedding/lookup/bag_functors.hpp"
#include "embedding/lookup/shape.hpp"
#include "runtime/copy.hpp"
#include "runtime/divider.hpp"
#include "runtime/for_each.hpp"
#include "runtime/view.hpp"

namespace keyshard {

/// The rows of all bags, and which groups of them have a combiner of the program.
struct OwnBags {
  ShapeRef shape;
  Divider by_features;
  const OwnCombiner* combiners;
  const float* values;
  ItemOffsets offset;
  const std::uint32_t* items;  ///< distinct key of each id, bag after bag
  BagRanges bags;

  KEYSHARD_HD BagRows rows_of(std::int64_t bag, const FeatureGroup& group) const {
    return {.n = bags.size(bag),
            .dim = group.dim,
            .values = values + group.offset,
            .width = offset.width,
            .offsets = offset.offsets,
            .items = items + bags.begin(bag)};
  }

  /// Calls body(group, g, sample) for each group g of a bag that a program's combiner pools.
  template <class Body>
  KEYSHARD_HD void for_groups(std::int64_t bag, const Body& body) const {
    const std::uint32_t sample = by_features.quotient(static_cast<std::uint32_t>(bag));
    const std::uint32_t f = static_cast<std::uint32_t>(bag) - sample * by_features.divisor();
    for (std::int64_t g = 0; g < shape.num_groups; ++g) {
      const FeatureGroup& group = shape.groups[f * shape.num_groups + g];
      if (group.own >= 0) {
        body(group, g, sample);
      }
    }
  }
};

/// Pools a bag into the output of its sample; 0 where it is empty.
struct PoolOwnBags {
  OwnBags in;
  const MatrixView<float>* pooled;  ///< of each group

  KEYSHARD_HD void operator()(std::int64_t bag) const {
    in.for_groups(bag, [&](const FeatureGroup& group, std::int64_t g, std::uint32_t sample) {
      float* out = pooled[g].row(sample) + group.column;
      if (in.bags.size(bag) > 0) {
        return in.combiners[group.own].forward(in.rows_of(bag, group), out);
      }
      for (std::int64_t d = 0; d < group.dim; ++d) {
        out[d] = 0.0f;
      }
    });
  }
};

/// Writes the gradient of every id of a bag: id i at terms + i * width + FeatureGroup::own_column.
struct BackOwnBags {
  OwnBags in;
  const MatrixView<const float>* upstream;  ///< of each group
  float* terms;
  std::int64_t width;

  KEYSHARD_HD void operator()(std::int64_t bag) const {
    in.for_groups(bag, [&](const FeatureGroup& group, std::int64_t g, std::uint32_t sample) {
      const BagGradients gradients{terms + in.bags.begin(bag) * width + group.own_column, width,
                                   nullptr};
      for (std::int64_t j = 0; j < in.bags.size(bag); ++j) {
        for (std::int64_t d = 0; d < group.dim; ++d) {
          gradients[j][d] = 0.0f;
        }
      }
      if (in.bags.size(bag) > 0) {
        in.combiners[group.own].backward(in.rows_of(bag, group),
                                         upstream[g].row(sample) + group.column, gradients);
      }
    });
  }
};

/// The bags that combiners of the program pool, which lie in `combiners`.
template <Backend B>
OwnBags own_bags(const LookupShape& shape, const DeviceShape<B>& device, const AskerState<B>& asker,
                 const OwnCombiner* combiners) {
  return {.shape = device.ref,
          .by_features = device.by_features,
          .combiners = combiners,
          .values = asker.values,
          .offset = asker.value_offset(shape),
          .items = asker.items_in_order(),
          .bags = asker.bags()};
}

/// Pools the bags of combiners of the program.
template <Backend B>
void pool_own_bags(Stream<B>& stream, const LookupShape& shape, const DeviceShape<B>& device,
                   const AskerState<B>& asker, const MatrixView<float>* pooled) {
  if (shape.own_combiners.empty()) {
    return;
  }
  Buffer<OwnCombiner, B> storage;
  const auto* combiners = device_view<OwnCombiner>(stream, shape.own_combiners, storage);
  for_each(stream, asker.samples * shape.num_features(),
           PoolOwnBags{own_bags(shape, device, asker, combiners), pooled});
}

}  // namespace keyshard
