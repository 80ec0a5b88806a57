// The plain layer: one row per id, in the shape of the ids.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "embedding/layers/table_layer.hpp"

namespace keyshard {

template <Backend B>
class Embedding : public TableLayer<B> {
 public:
  /// Makes or shares a table of `tables`, which is borrowed. `functions` has the functions that
  /// options name. Throws as layer_table says.
  Embedding(TableSet<B>& tables, const LayerOptions& options,
            const UserFunctions<B>& functions = {});

  /// Ids of any shape, a scalar included -> that shape with D as one more axis; ragged ids -> [ids,
  /// D], list after list. Ids that are masked or padding give zeros. Ids that do not fit their
  /// shape, offsets, mask, slices or `input_spec` throw Error{invalid_argument} on this rank and
  /// Error{communication} on the others. Collective.
  LayerOutput<B> operator()(Stream<B>& stream, const IdsView& ids,
                            const BasicCallOptions<B>& call = {});

  /// The same, without a mask.
  LayerOutput<B> forward(Stream<B>& stream, const IdsView& ids, bool training = true,
                         const SliceLayout* slices = nullptr) {
    return (*this)(stream, ids, {.training = training, .slices = slices, .mask = {}});
  }

  /// `upstream`, on the device, is the gradient of the output and has its shape. The table gets the
  /// gradient sums per key and keeps them until its next step; nothing happens where the layer was
  /// not trainable at the call. Throws Error{invalid_argument} for the output of an inference.
  /// Collective.
  void backward(Stream<B>& stream, const LayerOutput<B>& output, const float* upstream);

  /// The same where outputs are of float64.
  void backward(Stream<B>& stream, const LayerOutput<B>& output, const double* upstream);

  /// One byte per id, on the device: 0 where `mask` is 0 or the id is the padding id. Nothing where
  /// there is neither a mask nor a padding id. Throws Error{invalid_argument} where ids and mask
  /// do not fit.
  std::optional<Buffer<std::uint8_t, B>> compute_mask(Stream<B>& stream, const IdsView& ids,
                                                      Span<const std::uint8_t> mask = {}) const;

  /// Every option, as JSON holds it; a fresh tree. Throws Error{invalid_argument} where the layer
  /// has a function that is not registered under a name.
  SettingValue get_config() const { return this->config(); }

  /// A layer with the options of a config. Throws Error{invalid_argument} with every problem, and
  /// as the constructor.
  static Embedding from_config(TableSet<B>& tables, const SettingValue& config,
                               const UserFunctions<B>& functions = {});

 protected:
  FreeShape output_shape(const FreeShape& input) const override;

 private:
  /// backward, where there is work to do; doubles lie among floats.
  void send_gradients(Stream<B>& stream, const LayerOutput<B>& output, const float* upstream);

  using TableLayer<B>::options_;
};

/// Another name of the same layer.
template <Backend B>
using BasicEmbedding = Embedding<B>;

}  // namespace keyshard
