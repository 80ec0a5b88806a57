// The way back: the asker sums the gradients of its distinct keys, one partial per node of its run
// of slices, and the owner folds what all askers sent.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "embedding/lookup/asker.hpp"
#include "embedding/lookup/blocks.hpp"
#include "embedding/lookup/owner.hpp"

namespace keyshard {

/// What an asker sends back: partial sums per key and node, and backward messages of parts of bags.
template <Backend B>
struct GradientMessage {
  Buffer<std::uint32_t, B> masks;   ///< [distinct] nodes with a partial; empty where the rank's run
                                    ///< is one node
  Buffer<std::uint32_t, B> counts;  ///< [distinct] occurrences; empty where no table asks for them
  BlockLayout layout;               ///< of the message, in bytes
  Buffer<std::byte, B> bytes;
  std::vector<std::int64_t> not_finite;  ///< [blocks] numbers, where each key has one partial
};

template <Backend B>
/// Sums `gradients`, of the pooled rows of each column group [samples x width(g)], per distinct key
/// and node.
GradientMessage<B> sum_gradients(Stream<B>& stream, const LookupShape& shape,
                                 const AskerState<B>& asker,
                                 Span<const MatrixView<const float>> gradients);

/// The messages of all askers, as the owner of the keys receives them.
template <Backend B>
struct ReceivedGradients {
  std::int64_t slices = 1;
  Buffer<std::uint32_t, B> masks;    ///< [received]; empty where each key has one partial
  Buffer<std::uint32_t, B> counts;   ///< [received], or empty
  BlockLayout layout;                ///< in bytes
  Buffer<std::int64_t, B> partials;  ///< [received] floats before the partial sums of a key
  Buffer<std::uint16_t, B> ranks;    ///< [received] the asker that sent the key
  Buffer<std::byte, B> bytes;
};

/// Numbers of keys, one each, that came from some of the ranks.
template <Backend B>
struct SentNumbers {
  Buffer<std::uint32_t, B> numbers;  ///< rank after rank
  std::vector<std::int64_t> starts;  ///< [ranks] in `numbers`; -1: that rank sent none. Empty where
                                     ///< no rank did
};

/// Learns from the masks that were sent how many bytes each rank sends: fills in masks, layout,
/// partials and ranks.
template <Backend B>
void plan_received(Stream<B>& stream, const LookupShape& shape, const OwnerState<B>& owner,
                   const SentNumbers<B>& sent_masks, ReceivedGradients<B>& gradients);

/// Folds what all askers sent and gives each table its sums. `keep` owns `owner`.
template <Backend B>
void fold_gradients(Stream<B>& stream, const LookupShape& shape, Span<Table<B>* const> tables,
                    const OwnerState<B>& owner, const ReceivedGradients<B>& gradients,
                    std::shared_ptr<const void> keep);

/// Gives each table its sums on a rank that is alone: the message has them as they are, one partial
/// sum per key. `keep` owns `owner`.
template <Backend B>
void keep_gradients(const LookupShape& shape, Span<Table<B>* const> tables,
                    const OwnerState<B>& owner, GradientMessage<B> message,
                    std::shared_ptr<const void> keep);

}  // namespace keyshard
