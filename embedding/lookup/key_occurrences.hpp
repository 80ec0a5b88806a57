// Where the distinct keys of a batch occur on the asker's side, and what their gradients are made
// of.
#pragma once

#include <cstdint>

#include "embedding/lookup/bag_functors.hpp"
#include "embedding/lookup/shape.hpp"
#include "runtime/divider.hpp"
#include "runtime/view.hpp"

namespace keyshard {

/// The occurrences of the distinct keys of a batch, and the gradients that they get.
struct KeyOccurrences {
  ShapeRef shape;
  Divider by_features;
  const std::uint32_t* offsets;      ///< [keys + 1] in `occurrences`
  const std::uint32_t* occurrences;  ///< ascending in each key
  const std::uint32_t* bag_of;       ///< [occurrences]; null: the occurrence itself
  BagRanges bags;
  IdWeights weights;                                    ///< beside the occurrences
  const WeightOfBag<double>* double_weights = nullptr;  ///< of bags, for rows of doubles
  const std::uint16_t* slice_of;                        ///< [samples] slice of the global batch
  const std::uint16_t* node_of;             ///< [slices] first slice of its node of this rank's run
  const std::uint8_t* terms;                ///< of each group: GroupTerms
  const MatrixView<const float>* upstream;  ///< of each group
  const std::byte* kept;                    ///< states of combiners that need them
  std::int64_t kept_bytes;
  const float* values;  ///< rows of the keys, for combiners whose gradient needs them
  ItemOffsets value_offset;
  float* partials;
  ItemOffsets partial_offset;
  const float* own_terms = nullptr;  ///< [occurrences x own_width] gradients of ids by combiners of
                                     ///< the program
  std::int64_t own_width = 0;

  /// Where an occurrence stands.
  struct Place {
    std::uint32_t occurrence;
    std::uint32_t bag;
    std::uint32_t sample;
    std::uint32_t feature;
  };

  KEYSHARD_HD Place place(std::uint32_t occurrence) const {
    const std::uint32_t bag = bag_of == nullptr ? occurrence : bag_of[occurrence];
    const std::uint32_t sample = by_features.quotient(bag);
    return {occurrence, bag, sample, bag - sample * by_features.divisor()};
  }
};

}  // namespace keyshard
