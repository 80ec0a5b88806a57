// The layer that pools the ids of each sample by slot: a function of the id says which slot an id
// belongs to, and each slot of a sample becomes one vector.
#pragma once

#include <cstdint>
#include <optional>

#include "embedding/layers/table_layer.hpp"

namespace keyshard {

template <Backend B>
class FieldWiseEmbedding : public TableLayer<B> {
 public:
  /// As Embedding::Embedding, with slots [0, nslots). Combiners are sum, mean and sqrtn (also
  /// "sqrt_n"). Throws Error{invalid_argument} for another combiner, for nslots < 1, and for a slot
  /// map that is no function.
  FieldWiseEmbedding(TableSet<B>& tables, const LayerOptions& options, std::int64_t nslots,
                     const SlotMap<B>& slot_map_fn, const UserFunctions<B>& functions = {});

  std::int64_t nslots() const noexcept { return nslots_; }

  /// Ids [B, n] -> [B, nslots, D]; a slot of a sample without ids gives zeros. Ids of another shape
  /// and an id whose slot is outside of [0, nslots) are errors, as those of
  /// SquashedEmbedding::operator(). Collective.
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

  /// Nothing: slots have no mask.
  std::optional<Buffer<std::uint8_t, B>> compute_mask(
      Stream<B>& /*stream*/, const IdsView& /*ids*/, Span<const std::uint8_t> /*mask*/ = {}) const {
    return std::nullopt;
  }

  /// As Embedding::get_config and from_config, with `nslots`, and `slot_map_fn` by the name under
  /// which it is registered.
  SettingValue get_config() const;
  static FieldWiseEmbedding from_config(TableSet<B>& tables, const SettingValue& config,
                                        const UserFunctions<B>& functions);

 protected:
  FreeShape output_shape(const FreeShape& input) const override;

 private:
  /// backward, where there is work to do; doubles lie among floats.
  void send_gradients(Stream<B>& stream, const LayerOutput<B>& output, const float* upstream);

  using TableLayer<B>::options_;

  std::int64_t nslots_;
  SlotMap<B> slot_map_;
};

}  // namespace keyshard
