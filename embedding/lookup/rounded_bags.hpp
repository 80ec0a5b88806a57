// Outputs and upstream gradients of features that deliver 16-bit floats (the compute dtype of their
// dtype policy): numbers are rounded once, and stand in arrays of floats all the same.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/lookup/asker.hpp"
#include "runtime/copy.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

/// to = from, rounded, for all groups of a bag; they may be the same.
struct RoundBags {
  ShapeRef shape;
  Divider by_features;
  const MatrixView<const float>* from;  ///< of each group
  const MatrixView<float>* to;

  KEYSHARD_HD void operator()(std::int64_t bag) const {
    const std::uint32_t sample = by_features.quotient(static_cast<std::uint32_t>(bag));
    const std::int64_t f = bag - std::int64_t{sample} * shape.num_features;
    for (std::int64_t g = 0; g < shape.num_groups; ++g) {
      const FeatureGroup& group = shape.groups[f * shape.num_groups + g];
      const float* in = from[g].row(sample) + group.column;
      float* out = to[g].row(sample) + group.column;
      for (std::int64_t d = 0; d < shape.output_dim(f, group); ++d) {
        out[d] = rounded_value(shape.features[f].compute_dtype, in[d]);
      }
    }
  }
};

template <Backend B>
void round_bags(Stream<B>& stream, const LookupShape& shape, std::int64_t samples,
                Span<const MatrixView<const float>> from, Span<const MatrixView<float>> to) {
  const DeviceShape<B> device(stream, shape);
  Buffer<MatrixView<const float>, B> from_storage;
  Buffer<MatrixView<float>, B> to_storage;
  for_each(stream, samples * shape.num_features(),
           RoundBags{device.ref, device.by_features, device_view(stream, from, from_storage),
                     device_view(stream, to, to_storage)});
}

/// Rounds the outputs of a lookup where features ask for it.
template <Backend B>
void round_outputs(Stream<B>& stream, const LookupShape& shape, std::int64_t samples,
                   Span<const MatrixView<float>> pooled) {
  if (!shape.rounds_outputs()) {
    return;
  }
  const std::vector<MatrixView<const float>> from(pooled.begin(), pooled.end());
  round_bags<B>(stream, shape, samples, from, pooled);
}

/// Upstream gradients as a lookup takes them: those given, or a rounded copy where features ask for
/// it.
template <Backend B>
class TakenGradients {
 public:
  TakenGradients(Stream<B>& stream, const LookupShape& shape, std::int64_t samples,
                 Span<const MatrixView<const float>> given)
      : taken_(given.begin(), given.end()) {
    if (!shape.rounds_outputs()) {
      return;
    }
    std::vector<MatrixView<float>> copies;
    for (std::size_t g = 0; g < taken_.size(); ++g) {
      const std::int64_t width = shape.widths[g];
      float* values = copies_.emplace_back(stream, samples * width).data();
      copies.push_back({values, samples, width, width});
      taken_[g] = {values, samples, width, width};
    }
    round_bags<B>(stream, shape, samples, given, copies);
  }

  Span<const MatrixView<const float>> views() const { return taken_; }

 private:
  std::vector<MatrixView<const float>> taken_;
  std::vector<Buffer<float, B>> copies_;
};

}  // namespace keyshard
