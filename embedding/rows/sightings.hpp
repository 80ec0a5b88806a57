// The keys of a table that have been sighted but have no row yet, and how often: what admission by
// count keeps (TableOptions::admit_after). A sighting is an optimizer step in which the key has a
// gradient; repeats in one step count once. A key waits in an index of its own, beside one number,
// and costs no row.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/rows/key_index.hpp"
#include "embedding/rows/row_store.hpp"
#include "embedding/rules/partitioners.hpp"
#include "runtime/buffer.hpp"

namespace keyshard {

/// The keys that wait in a shard, ascending, and where their counts lie; on the host.
struct SightedKeys {
  std::vector<Key> keys;
  std::vector<std::uint32_t> counts;
};

template <Backend B>
class Sightings {
 public:
  /// Of the keys of `shards`; a key is admitted by its sighting number `needed` >= 2.
  Sightings(Range shards, std::uint64_t seed, std::uint32_t needed);

  /// Counts a sighting of each of distinct keys without a row: admitted[i] = 1 where that makes key
  /// i admitted, which then waits no more, else 0. Keys and `admitted` lie on the device.
  void sight(Stream<B>& stream, const Partitioner& partitioner, Span<const Key> keys,
             std::uint8_t* admitted);

  /// How often each of distinct keys has been sighted, 0 for keys that do not wait, on the host.
  std::vector<std::uint32_t> counts(Stream<B>& stream, const Partitioner& partitioner,
                                    Span<const Key> keys) const;

  /// Sets what `counts` has given for these keys.
  void set_counts(Stream<B>& stream, const Partitioner& partitioner, Span<const Key> keys,
                  const std::vector<std::uint32_t>& counts);

  /// Forgets all keys.
  void clear(Stream<B>& stream);

  std::size_t bytes() const noexcept { return index_.bytes() + counts_.bytes(); }

  // Contents, shard by shard, on the host, as Table has them.

  SightedKeys shard_keys(std::int64_t shard) const;
  /// Fills an empty shard: distinct keys of the shard and their counts.
  void load_shard(std::int64_t shard, Span<const Key> keys, const std::uint32_t* counts);

 private:
  /// The rows of distinct keys; those that had none get one, with the count 0.
  Buffer<RowId, B> make_rows(Stream<B>& stream, const Partitioner& partitioner,
                             Span<const Key> keys);

  /// Leaves the keys that wait.
  void drop_admitted(Stream<B>& stream);

  KeyIndex<B> index_;
  RowStore<B> counts_;  // rows of one number, the bits of the count
  std::uint32_t needed_;
  std::int64_t admitted_ = 0;  // keys of the index that wait no more, their counts are `needed_`
};

}  // namespace keyshard
