// The two layers of this version. `SquashedEmbedding` pools the rows of the ids of each sample into
// one vector; `Embedding` gives one row per id. Both work on any number of ranks; every call is
// collective, also for a rank without ids. Where one rank refuses its ids, the call fails on all
// ranks before any id is sent.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "embedding/layers/layer.hpp"

namespace keyshard {

/// What both layers are made of: a lookup in one table.
template <Backend B>
class TableLayer {
 public:
  Table<B>& table() noexcept { return *table_; }

 protected:
  TableLayer(TableSet<B>& tables, const LayerOptions& options, const Combiner& combiner);
  ~TableLayer() = default;
  TableLayer(TableLayer&&) noexcept = default;

  /// Checks the ids of a call; an Error that `check` throws ends the call on all ranks.
  void accept(Stream<B>& stream, const std::function<void()>& check);

  /// The slices of a call: those given, or one slice with the samples of this rank, numbered by the
  /// rank.
  SliceLayout slices_of(const SliceLayout* given, std::int64_t samples) const;

  LayerOptions options_;
  Table<B>* table_;
  Lookup<B> lookup_;
  Combiner combiner_;
  int rank_;
  int ranks_;
};

template <Backend B>
class SquashedEmbedding : public TableLayer<B> {
 public:
  /// Makes or shares a table of `tables`, which is borrowed. Throws as layer_table says.
  SquashedEmbedding(TableSet<B>& tables, const LayerOptions& options);

  /// Ids [n]: one bag -> [D]. Ids [B, n], or B ragged lists -> [B, D]. Ids with r >= 3 axes: their
  /// rows [B, n, m, ..., D] are reduced along axis 1, r - 1 times -> [B, D]; so `mean` with 3 axes
  /// is a mean of means. A scalar, and ids that do not fit their shape, offsets or slices, throw
  /// Error{invalid_argument} on this rank and Error{communication} on the others. A bag with no ids
  /// gives what `empty_bag` says. `training` = false is inference. Collective.
  LayerOutput<B> forward(Stream<B>& stream, const IdsView& ids, bool training = true,
                         const SliceLayout* slices = nullptr);

  /// `upstream`, on the device, is the gradient of the output and has its shape. The table gets the
  /// gradient sums per key and keeps them until its next step; nothing happens where `trainable` is
  /// false. Collective.
  void backward(Stream<B>& stream, const LayerOutput<B>& output, const float* upstream);

  /// The shape of the output for ids of the shape `ids`; looks nothing up. Throws
  /// Error{invalid_argument} for a scalar.
  std::vector<std::int64_t> compute_output_shape(const std::vector<std::int64_t>& ids) const;

 private:
  using TableLayer<B>::combiner_;
  using TableLayer<B>::lookup_;
  using TableLayer<B>::options_;
};

template <Backend B>
class Embedding : public TableLayer<B> {
 public:
  Embedding(TableSet<B>& tables, const LayerOptions& options);

  /// Ids of any shape, a scalar included -> that shape with D as one more axis; ragged ids -> [ids,
  /// D], list after list. Errors as SquashedEmbedding::forward. Collective.
  LayerOutput<B> forward(Stream<B>& stream, const IdsView& ids, bool training = true,
                         const SliceLayout* slices = nullptr);

  /// As SquashedEmbedding::backward.
  void backward(Stream<B>& stream, const LayerOutput<B>& output, const float* upstream);

  std::vector<std::int64_t> compute_output_shape(const std::vector<std::int64_t>& ids) const;

 private:
  using TableLayer<B>::lookup_;
  using TableLayer<B>::options_;
};

}  // namespace keyshard
