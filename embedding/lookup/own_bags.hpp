// Bags that a program's combiner pools from rows, as functors: forward, and the gradients of all
// ids of such bags, which the sums per key then read (gradient_functors.hpp). The rows of a bag
// stand in the order of the bag; where the combiner has a state, bags are pooled in the order of
// their table, as those of a built-in one.
#pragma once

#include <cstdint>

#include "embedding/lookup/asker.hpp"
#include "embedding/lookup/bag_functors.hpp"
#include "embedding/lookup/own_pooling.hpp"
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
  const std::uint8_t* reduced;  ///< of each table: its bags come as parts
  const float* values;
  ItemOffsets offset;
  const std::uint32_t* items;         ///< distinct key of each id, bag after bag
  const std::uint32_t* pooled_items;  ///< the same, in the order in which a table pools
  const std::uint16_t* shards;        ///< of the distinct keys
  BagRanges bags;
  std::int64_t kept_bytes;  ///< of the states that a sample keeps

  template <class T>
  KEYSHARD_HD BagRowsOf<T> rows_of(std::int64_t bag, const FeatureGroup& group) const {
    return {.n = bags.size(bag),
            .dim = numbers_in<T>(group.dim),
            .values = numbers_at<T>(values + group.offset),
            .width = numbers_in<T>(offset.width),
            .offsets = offset.offsets,
            .items = items + bags.begin(bag)};
  }

  /// Pools a bag with ids by the state of its combiner, which `kept` keeps.
  KEYSHARD_HD void pool(std::int64_t bag, const FeatureGroup& group, std::uint32_t sample,
                        std::byte* kept, float* out) const {
    const std::uint32_t f = feature_of(bag, sample);
    combiners[group.own].functions->pooling->pool(
        {{values, offset, nullptr}, pooled_items + bags.begin(bag), nullptr, bags.size(bag)}, group,
        shape.features[f].by_shard ? shards : nullptr,
        kept_states<std::byte>(kept, kept_bytes, sample, group), out);
  }

  KEYSHARD_HD std::uint32_t feature_of(std::int64_t bag, std::uint32_t sample) const {
    return static_cast<std::uint32_t>(bag) - sample * by_features.divisor();
  }

  /// Calls body(group, g, sample) for each group g of a bag that a program's combiner pools from
  /// rows.
  template <class Body>
  KEYSHARD_HD void for_groups(std::int64_t bag, const Body& body) const {
    const std::uint32_t sample = by_features.quotient(static_cast<std::uint32_t>(bag));
    const std::uint32_t f = feature_of(bag, sample);
    if (reduced[shape.features[f].table] != 0) {
      return;
    }
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
  std::byte* kept;                  ///< [samples x kept_bytes]

  KEYSHARD_HD void operator()(std::int64_t bag) const {
    in.for_groups(bag, [&](const FeatureGroup& group, std::int64_t g, std::uint32_t sample) {
      float* out = pooled[g].row(sample) + group.column;
      if (in.bags.size(bag) == 0) {
        for (std::int64_t d = 0; d < group.dim; ++d) {
          out[d] = 0.0f;
        }
      } else if (group.plain_kind == kOwnState) {
        in.pool(bag, group, sample, kept, out);
      } else if (group.double_kind == kOwnDoubles) {
        in.combiners[group.own].forward(in.rows_of<double>(bag, group), numbers_at<double>(out));
      } else {
        in.combiners[group.own].forward(in.rows_of<float>(bag, group), out);
      }
    });
  }
};

/// Writes the gradient of every id of a bag: id i at terms + i * width + FeatureGroup::own_column.
struct BackOwnBags {
  OwnBags in;
  const MatrixView<const float>* upstream;  ///< of each group
  const std::byte* kept;                    ///< [samples x kept_bytes]
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
        write(bag, group, sample, upstream[g].row(sample) + group.column, gradients);
      }
    });
  }

 private:
  KEYSHARD_HD void write(std::int64_t bag, const FeatureGroup& group, std::uint32_t sample,
                         const float* gradient, const BagGradients& gradients) const {
    const OwnCombiner& combiner = in.combiners[group.own];
    if (group.plain_kind == kOwnState) {
      combiner.functions->pooling->back(
          in.rows_of<float>(bag, group),
          kept_states<const std::byte>(kept, in.kept_bytes, sample, group), gradient, gradients);
    } else if (group.double_kind == kOwnDoubles) {
      combiner.backward(in.rows_of<double>(bag, group), numbers_at<double>(gradient),
                        BagGradientsOf<double>{numbers_at<double>(gradients.values),
                                               numbers_in<double>(width), nullptr});
    } else {
      combiner.backward(in.rows_of<float>(bag, group), gradient, gradients);
    }
  }
};

/// What the host plans of OwnBags need on the device.
template <Backend B>
struct OwnBagsStorage {
  Buffer<OwnCombiner, B> combiners;
  Buffer<std::uint8_t, B> reduced;
};

/// The bags that combiners of the program pool.
template <Backend B>
OwnBags own_bags(Stream<B>& stream, const LookupShape& shape, const DeviceShape<B>& device,
                 const AskerState<B>& asker, OwnBagsStorage<B>& storage) {
  return {.shape = device.ref,
          .by_features = device.by_features,
          .combiners = device_view<OwnCombiner>(stream, shape.own_combiners, storage.combiners),
          .reduced = device_view<std::uint8_t>(stream, asker.reduced, storage.reduced),
          .values = asker.values,
          .offset = asker.value_offset(shape),
          .items = asker.items_in_order(),
          .pooled_items = asker.distinct.inverse.data(),
          .shards = asker.shards.data(),
          .bags = asker.bags(),
          .kept_bytes = shape.kept_bytes};
}

/// Pools the bags of combiners of the program.
template <Backend B>
void pool_own_bags(Stream<B>& stream, const LookupShape& shape, const DeviceShape<B>& device,
                   AskerState<B>& asker, const MatrixView<float>* pooled) {
  if (shape.own_combiners.empty()) {
    return;
  }
  OwnBagsStorage<B> storage;
  for_each(stream, asker.samples * shape.num_features(),
           PoolOwnBags{own_bags(stream, shape, device, asker, storage), pooled, asker.kept.data()});
}

}  // namespace keyshard
