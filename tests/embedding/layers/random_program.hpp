// Random programs of layer calls, drawn from a seed, with what a reference needs to know of them.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/layers/squashed_embedding.hpp"
#include "tests/support/reference_layer.hpp"

namespace keyshard::testing {

/// All keys that programs use.
inline const std::vector<Key> kProgramKeys{0,  1,    2,        3, 5, 8, 1024, ~Key{0}, Key{1} << 63,
                                           77, 1025, 123456789};

/// What one rank gives to a call.
struct Part {
  std::vector<Key> ids;
  std::vector<std::int64_t> shape, offsets, outer;  ///< empty, all but one or two of them
  std::vector<std::uint8_t> mask;
  std::vector<float> weights, upstream;
  std::vector<ReferenceSample> samples;
};

struct Call {
  std::size_t layer = 0;
  bool training = true;
  std::vector<Part> parts;  ///< of each rank
};

/// Calls, an optimizer step, and then perhaps other weights.
struct Round {
  std::vector<Call> calls;
  std::vector<LayerWeights> set;  ///< of each rank; empty: none
};

struct Program {
  int ranks = 1, threads = 1;
  std::vector<LayerOptions> layers;  ///< the second one shares the table of the first
  std::vector<Round> rounds;
};

Program draw_program(std::uint64_t seed);

}  // namespace keyshard::testing
