// The layer that pools the rows of the ids of each sample into one vector.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "embedding/layers/embedding.hpp"
#include "embedding/layers/table_layer.hpp"

namespace keyshard {

template <Backend B>
class SquashedEmbedding : public TableLayer<B> {
 public:
  /// Makes or shares a table of `tables`, which is borrowed. `functions` has the functions that
  /// options name. Throws as layer_table says.
  SquashedEmbedding(TableSet<B>& tables, const LayerOptions& options,
                    const UserFunctions<B>& functions = {});

  /// Ids [n]: one bag -> [D]. Ids [B, n], or B ragged lists -> [B, D]. Ids with r >= 3 axes: their
  /// rows [B, n, m, ..., D] are reduced along axis 1, r - 1 times -> [B, D]; so `mean` with 3 axes
  /// is a mean of means. Lists of lists are reduced like the rectangle that holds them, in memory
  /// of the size of that rectangle; places without an id are absent. Ids that are masked or padding
  /// are in no bag, and what becomes empty by it is in no further reduction. A bag with no ids
  /// gives what `empty_bag` says. A scalar, and ids that do not fit their shape, offsets, mask,
  /// slices or `input_spec`, throw Error{invalid_argument} on this rank and Error{communication} on
  /// the others. Collective.
  LayerOutput<B> operator()(Stream<B>& stream, const IdsView& ids,
                            const BasicCallOptions<B>& call = {});

  /// The same, without a mask.
  LayerOutput<B> forward(Stream<B>& stream, const IdsView& ids, bool training = true,
                         const SliceLayout* slices = nullptr) {
    return (*this)(stream, ids, {.training = training, .slices = slices, .mask = {}});
  }

  /// As Embedding::backward.
  void backward(Stream<B>& stream, const LayerOutput<B>& output, const float* upstream);

  /// The same where outputs are of float64.
  void backward(Stream<B>& stream, const LayerOutput<B>& output, const double* upstream);

  /// Nothing: the output has no axis that a mask could be for.
  std::optional<Buffer<std::uint8_t, B>> compute_mask(
      Stream<B>& /*stream*/, const IdsView& /*ids*/, Span<const std::uint8_t> /*mask*/ = {}) const {
    return std::nullopt;
  }

  /// As Embedding::get_config and from_config.
  SettingValue get_config() const { return this->config(); }

  static SquashedEmbedding from_config(TableSet<B>& tables, const SettingValue& config,
                                       const UserFunctions<B>& functions = {});

 protected:
  FreeShape output_shape(const FreeShape& input) const override;

 private:
  /// backward, where there is work to do; doubles lie among floats.
  void send_gradients(Stream<B>& stream, const LayerOutput<B>& output, const float* upstream);

  Buffer<std::uint8_t, B> fill_empty(Stream<B>& stream, const IdsView& ids, EmptyForm form,
                                     const Bags<B>& bags, LayerOutput<B>& output) const;
  void reduce_axes(Stream<B>& stream, const IdsView& ids, EmptyForm form, const Bags<B>& bags,
                   LayerOutput<B>& output) const;

  using TableLayer<B>::combiner_;
  using TableLayer<B>::options_;
};

}  // namespace keyshard
