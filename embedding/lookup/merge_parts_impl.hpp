// Merges the parts of bags that came to their asker.
#pragma once

#include "embedding/lookup/asker.hpp"
#include "embedding/lookup/own_pooling.hpp"
#include "embedding/lookup/reduced.hpp"
#include "runtime/copy.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

/// Merges the parts of bags of reduced tables; `pool` pools the others.
template <Backend B>
void merge_parts(Stream<B>& stream, const LookupShape& shape, const AskerState<B>& asker,
                 const PoolBags& pool, std::int64_t bags) {
  if (asker.parts.starts.empty()) {
    return;
  }
  Buffer<std::int64_t, B> storage;
  const MergeBags merge{
      .shape = pool.shape,
      .by_features = pool.by_features,
      .reduced = pool.reduced,
      .parts = asker.parts.parts.data(),
      .starts = asker.parts.starts.data(),
      .bases = device_view<std::int64_t>(stream, asker.answers_layout.bases, storage),
      .answers = asker.answers.data(),
      .items = pool.items,
      .shards = pool.shards,
      .bags = pool.bags,
      .weights = pool.weights,
      .pooled = pool.pooled,
      .kept = pool.kept,
      .kept_bytes = pool.kept_bytes};
  for_each_row(stream, bags, merge);
  for_own_combiners<MergeOwnBags>(stream, shape, bags, merge);
}

}  // namespace keyshard
