// Bags with no ids, where an option asks for another value than zeros.
#pragma once

#include "embedding/lookup/asker.hpp"

namespace keyshard {

/// Writes what a bag with no ids gives, all groups. Bags of doubles have it from their pooling.
struct FillEmpty {
  ShapeRef shape;
  Divider by_features;
  BagRanges bags;
  const MatrixView<float>* pooled;

  KEYSHARD_HD void operator()(std::int64_t bag) const {
    if (bags.size(bag) > 0) {
      return;
    }
    const std::uint32_t sample = by_features.quotient(static_cast<std::uint32_t>(bag));
    const std::int64_t f = bag - std::int64_t{sample} * shape.num_features;
    for (std::int64_t g = 0; g < shape.num_groups; ++g) {
      const FeatureGroup& group = shape.groups[f * shape.num_groups + g];
      float* out = pooled[g].row(sample) + group.column;
      for (std::int64_t d = 0; group.double_kind == kNoCombiner && d < group.dim; ++d) {
        out[d] = group.empty;
      }
    }
  }
};

/// Gives the bags with no ids what the options of their features say; pooling has written zeros.
template <Backend B>
void fill_empty(Stream<B>& stream, const LookupShape& shape, const AskerState<B>& asker,
                Span<const MatrixView<float>> pooled) {
  if (!shape.fills_empty() || asker.bag_offsets.empty()) {
    return;
  }
  const DeviceShape<B> device(stream, shape);
  Buffer<MatrixView<float>, B> pooled_storage;
  for_each(stream, asker.samples * shape.num_features(),
           FillEmpty{.shape = device.ref,
                     .by_features = device.by_features,
                     .bags = asker.bags(),
                     .pooled = device_view(stream, pooled, pooled_storage)});
}

}  // namespace keyshard
