// The two layers of this version. `SquashedEmbedding` pools the rows of the ids of each sample into
// one vector; `Embedding` gives one row per id. Both work on 1 to P ranks; every call is
// collective, also for a rank without ids. Ids that are refused on one rank end the call on all,
// before any is sent.
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

  /// Checks the ids of a call; what `check` throws ends the call on all ranks.
  void accept(Stream<B>& stream, const std::function<void()>& check);

  /// The slices of a call: those given, or one for the samples of this rank, numbered by the rank.
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
  /// Makes or shares the table in `tables`, which is borrowed. Throws as check(LayerOptions) says.
  SquashedEmbedding(TableSet<B>& tables, const LayerOptions& options);

  /// Rank 1: one bag -> [D]. Rank 2 [B, n] or ragged with B lists -> [B, D]. Rank r >= 3: the rows
  /// [B, n, m, ..., D] are reduced along axis 1, r - 1 times -> [B, D]; so `mean` of rank 3 is a
  /// mean of means. Rank 0 throws Error{invalid_argument}. A bag with no ids gives zeros.
  /// `training` = false is inference. Collective.
  LayerOutput<B> forward(Stream<B>& stream, const IdsView& ids, bool training = true,
                         const SliceLayout* slices = nullptr);

  /// `upstream` is the gradient of the output, of its shape. Keeps the sums per key until the
  /// table's next step. Collective.
  void backward(Stream<B>& stream, const LayerOutput<B>& output, const float* upstream);

  /// The shape of the output for ids of a shape; runs and builds nothing. Throws
  /// Error{invalid_argument} for rank 0.
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

  /// Ids of any rank, 0 included -> shape ++ [D]; ragged ids -> [ids, D], list after list.
  /// Collective.
  LayerOutput<B> forward(Stream<B>& stream, const IdsView& ids, bool training = true,
                         const SliceLayout* slices = nullptr);

  void backward(Stream<B>& stream, const LayerOutput<B>& output, const float* upstream);

  std::vector<std::int64_t> compute_output_shape(const std::vector<std::int64_t>& ids) const;

 private:
  using TableLayer<B>::lookup_;
  using TableLayer<B>::options_;
};

}  // namespace keyshard
