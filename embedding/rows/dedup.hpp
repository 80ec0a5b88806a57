// Distinct keys of a batch, grouped by owner and table. On a CPU occurrences are dealt into buckets
// by (owner, table, range of shards), stably, and each bucket is deduplicated in cache by one
// thread; so the result does not depend on the number of threads, and the keys of an owner come
// roughly in the order of shards, which is good for its caches. On a CUDA device the keys of a
// block come in the order of their first occurrences.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/rows/table_owners.hpp"
#include "embedding/rules/partitioners.hpp"
#include "runtime/buffer.hpp"

namespace keyshard {

/// Occurrences to be deduplicated. Two occurrences are the same key if table and key are equal.
/// `tables` or `blocks` gives the table of each occurrence; where both are empty, all are of table
/// 0. Borrowed; keys and `tables` lie on the device.
struct Occurrences {
  Span<const Key> keys;
  const std::uint16_t* tables = nullptr;   ///< [keys.size()]
  Span<const std::int64_t> blocks{};       ///< a host plan: block b, of table b modulo the tables,
                                           ///< has the occurrences blocks[b] .. blocks[b + 1]
  Span<const Partitioner> partitioners{};  ///< of each table
  const TableOwners* owners = nullptr;     ///< of the tables; null: grouped by table alone
};

template <Backend B>
struct Distinct {
  Buffer<Key, B> keys;               ///< [size()], in blocks by (owner, table)
  Buffer<std::uint32_t, B> inverse;  ///< [occurrences]: which distinct key an occurrence is
  Buffer<std::uint32_t, B>
      offsets;  ///< [size() + 1]: where the occurrences of a key start in `occurrences`
  Buffer<std::uint32_t, B>
      occurrences;  ///< [occurrences], grouped by distinct key, ascending in each group
  std::vector<std::int64_t>
      blocks;  ///< [ranks * tables + 1]: where block owner * tables + table starts

  std::int64_t size() const { return blocks.empty() ? 0 : blocks.back(); }
};

/// Deduplicates fewer than 2^32 - 1 occurrences; throws Error{invalid_argument} for more. The
/// result follows from the occurrences alone. A CUDA device refuses a partitioner of a program:
/// Error{not_built}.
template <Backend B>
Distinct<B> dedup(Stream<B>& stream, const Occurrences& occurrences);

// The primitives (dedup_cpu.cpp, dedup_cuda.cpp).
template <>
Distinct<Cpu> dedup(Stream<Cpu>& stream, const Occurrences& occurrences);
template <>
Distinct<Cuda> dedup(Stream<Cuda>& stream, const Occurrences& occurrences);

}  // namespace keyshard
