// What a call of a layer takes and returns.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "collectives/communicator.hpp"
#include "embedding/layers/ids_view.hpp"
#include "embedding/layers/output_function.hpp"
#include "embedding/lookup/lookup.hpp"
#include "runtime/buffer.hpp"
#include "runtime/error.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// Which slices of the global batch the samples (the first axis) of a call belong to. A call
/// without a SliceLayout takes the batch of a rank as one slice, numbered by the rank; results then
/// depend on the number of ranks.
struct SliceLayout {
  std::int64_t slices = 1;            ///< of the global batch
  Range run;                          ///< slices of this rank: run_of(rank, ranks, slices)
  std::vector<std::int64_t> offsets;  ///< [run.size() + 1] in samples
};

/// The keywords of a call.
template <Backend B>
struct BasicCallOptions {
  /// The same on all ranks. False: inference. Several threads may make inferences at once, in one
  /// layer or in several, while no row changes: each thread has a stream of its own and gives a
  /// `communicator` of its own. On a single rank threads may also do without one, where all of them
  /// call one layer.
  bool training = true;
  const SliceLayout* slices = nullptr;
  /// One byte per id, in the order of the ids, on the device: an id whose byte is 0 is in no bag.
  /// Empty: every id counts.
  Span<const std::uint8_t> mask = {};
  /// SquashedEmbedding with combiner sum, mean or sqrtn: a weight per id, in the order of the ids,
  /// on the device. Weights are taken as they are, negative ones too; where the divisor of a bag is
  /// 0, the bag gives zeros and has no gradient. Empty: no weights. Ranks may differ.
  Span<const float> weights = {};
  /// Of an inference: what this call uses in place of the communicator of the layer, over the same
  /// ranks (Communicator::duplicate, made before by all ranks in one order). It belongs to one
  /// thread at a time; the calls of one communicator come in the same order on all ranks. Borrowed;
  /// null: that of the layer.
  Communicator<B>* communicator = nullptr;
};

using CallOptions = BasicCallOptions<Cpu>;

/// A function of the output whose gradient backward adds.
template <Backend B>
struct OutputTerm {
  std::shared_ptr<const OutputFunction<B>> function;
  double scale = 1;
};

/// Vectors [B, n, columns] that were reduced along their second axis.
template <Backend B>
struct ReducedStage {
  Buffer<float, B> values;
  std::vector<std::int64_t> shape;  ///< {B, n, columns}, in numbers
  /// [B, n, columns / D]: 0 for a vector that is absent; empty where all are present.
  Buffer<std::uint8_t, B> present;
};

/// What a call returns: numbers, their shape, and what backward needs.
template <Backend B>
struct LayerOutput {
  /// Row-major. Doubles and integers lie in it bit for bit: `numbers` gives them.
  Buffer<float, B> values;
  std::vector<std::int64_t> shape;
  ValueDtype dtype = ValueDtype::float32;  ///< of the numbers; 16-bit floats stand as floats
  bool training = false;                   ///< of the call
  bool trainable = false;                  ///< the layer was, at the call
  bool weighted = false;                   ///< the ids had weights
  LookupTrace<B> trace;                    ///< of a training call
  std::vector<ReducedStage<B>>
      stages;          ///< reductions after the pooling of bags, in order, of a training call
  SliceLayout slices;  ///< of the call
  std::vector<std::int64_t> slice_starts;  ///< [slices of this rank + 1] in numbers
  std::int64_t batch = 1;  ///< samples of all ranks; 1 where the ids have one axis or none
  std::vector<OutputTerm<B>> terms;

  /// The numbers, on the device, of the type that `dtype` stands as: float, double, std::int8_t,
  /// std::int32_t or std::int64_t. Throws Error{invalid_argument} for another type.
  template <class T>
  Span<const T> numbers() const {
    with_number(dtype, [](auto number) {
      require(std::is_same_v<decltype(number), T>, Kind::invalid_argument,
              "expected the numbers of an output as its dtype has them, of {} bytes each: asked "
              "for another type, of {} bytes",
              sizeof(number), sizeof(T));
    });
    std::int64_t size = 1;
    for (const std::int64_t extent : shape) {
      size *= extent;
    }
    return {numbers_at<T>(values.data()), size};
  }
};

}  // namespace keyshard
