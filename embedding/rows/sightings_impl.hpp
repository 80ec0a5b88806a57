// The bodies of Sightings.
#pragma once

#include <bit>
#include <utility>
#include <vector>

#include "embedding/rows/row_functors.hpp"
#include "embedding/rows/row_stages.hpp"
#include "embedding/rows/shard_rows.hpp"
#include "embedding/rows/sightings.hpp"
#include "runtime/for_each.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

/// FindRow by whichever partitioner the table has.
struct FindSighted {
  static constexpr int kTeamWidth = FindRow<HashPartitioner>::kTeamWidth;

  KeyIndexRef index;
  Partitioner partitioner;
  const Key* keys;
  RowId* rows;

  std::int64_t work() const { return 10; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t /*run*/, const Body& body) const {
    visit_variant(partitioner, [&](const auto& rule) {
      body(FindRow<std::decay_t<decltype(rule)>>{index, rule, keys, rows});
    });
  }
};

/// Takes the keys that are sighted for the first time, gives them the rows first, first + 1, ...
/// and the count 0.
struct TakeFirstSighted {
  const std::uint32_t* which;
  const Key* keys;
  Partitioner partitioner;
  RowStoreRef counts;
  RowId first;
  Key* taken;
  std::uint16_t* shards;
  RowId* rows;  ///< of all keys

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const Key key = keys[which[i]];
    const RowId row = first + static_cast<RowId>(i);
    taken[i] = key;
    shards[i] = static_cast<std::uint16_t>(
        visit_variant(partitioner, [&](const auto& rule) { return rule.shard(key); }));
    rows[which[i]] = row;
    *counts.row(row) = std::bit_cast<float>(std::uint32_t{0});
  }
};

/// Counts a sighting. A key that was admitted and has no row again begins anew.
struct CountSighting {
  RowStoreRef counts;
  const RowId* rows;
  std::uint32_t needed;
  std::uint8_t* admitted;
  std::uint8_t* began_anew;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const auto before = std::bit_cast<std::uint32_t>(*counts.row(rows[i]));
    const std::uint32_t now = before == needed ? 1 : before + 1;
    *counts.row(rows[i]) = std::bit_cast<float>(now);
    admitted[i] = now == needed ? 1 : 0;
    began_anew[i] = before == needed ? 1 : 0;
  }
};

/// counts[i] = how often key i has been sighted; 0 where it does not wait.
struct ReadSighted {
  RowStoreRef store;
  const RowId* rows;
  std::uint32_t needed;
  std::uint32_t* counts;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const std::uint32_t count =
        rows[i] == kNoRow ? 0 : std::bit_cast<std::uint32_t>(*store.row(rows[i]));
    counts[i] = count == needed ? 0 : count;
  }
};

/// Sets the count of key i; one that is 0 waits no more, as if it had been admitted.
struct WriteSighted {
  RowStoreRef store;
  const RowId* rows;
  std::uint32_t needed;
  const std::uint32_t* counts;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    *store.row(rows[i]) = std::bit_cast<float>(counts[i] == 0 ? needed : counts[i]);
  }
};

/// Whether the key of row i waits no more.
struct IsAdmitted {
  RowStoreRef counts;
  std::uint32_t needed;

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const {
    return std::bit_cast<std::uint32_t>(*counts.row(static_cast<RowId>(i))) == needed ? 1 : 0;
  }
};

struct FlagOf {
  const std::uint8_t* flags;

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const { return flags[i]; }
};

/// Whether a key waits: it has been sighted less often than it needs.
struct StillWaits {
  RowStoreRef counts;
  const RowId* rows;
  std::uint32_t needed;

  KEYSHARD_HD bool operator()(std::int64_t i) const {
    return std::bit_cast<std::uint32_t>(*counts.row(rows[i])) < needed;
  }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t /*shard*/, const Body& body) const {
    body(*this);
  }
};

/// Takes the keys that stay, with their counts.
struct TakeWaiting {
  const std::uint32_t* which;
  const Key* keys;
  const RowId* rows;
  RowStoreRef counts;
  Key* taken;
  float* taken_counts;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    taken[i] = keys[which[i]];
    taken_counts[i] = *counts.row(rows[which[i]]);
  }
};

/// Row i gets count i.
struct PutCounts {
  const float* taken_counts;
  RowStoreRef counts;
  RowId* rows;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    rows[i] = static_cast<RowId>(i);
    *counts.row(rows[i]) = taken_counts[i];
  }
};

template <Backend B>
Sightings<B>::Sightings(Range shards, std::uint64_t seed, std::uint32_t needed)
    : index_(shards, seed), counts_(1), needed_(needed) {}

template <Backend B>
Buffer<RowId, B> Sightings<B>::make_rows(Stream<B>& stream, const Partitioner& partitioner,
                                         Span<const Key> keys) {
  const std::int64_t n = keys.size();
  Buffer<RowId, B> rows(stream, n);
  const std::int64_t starts[] = {0, n};
  for_each_run(stream, starts, FindSighted{index_.ref(), partitioner, keys.data(), rows.data()});
  const Buffer<std::uint32_t, B> fresh = select(stream, n, IsMissing{rows.data()});
  const RowId first = counts_.allocate(fresh.size());
  Buffer<Key, B> taken(stream, fresh.size());
  Buffer<std::uint16_t, B> shards(stream, fresh.size());
  for_each(stream, fresh.size(),
           TakeFirstSighted{.which = fresh.data(),
                            .keys = keys.data(),
                            .partitioner = partitioner,
                            .counts = counts_.ref(),
                            .first = first,
                            .taken = taken.data(),
                            .shards = shards.data(),
                            .rows = rows.data()});
  insert_keys<B>(stream, {{&index_, 0, fresh.size(), first}}, taken.data(), shards.data());
  return rows;
}

template <Backend B>
void Sightings<B>::sight(Stream<B>& stream, const Partitioner& partitioner, Span<const Key> keys,
                         std::uint8_t* admitted) {
  const std::int64_t n = keys.size();
  const Buffer<RowId, B> rows = make_rows(stream, partitioner, keys);
  Buffer<std::uint8_t, B> anew(stream, n);
  for_each(stream, n, CountSighting{counts_.ref(), rows.data(), needed_, admitted, anew.data()});
  admitted_ += sum(stream, n, FlagOf{admitted}) - sum(stream, n, FlagOf{anew.data()});
  if (admitted_ > index_.size() / 2) {
    drop_admitted(stream);
  }
}

template <Backend B>
std::vector<std::uint32_t> Sightings<B>::counts(Stream<B>& stream, const Partitioner& partitioner,
                                                Span<const Key> keys) const {
  const std::int64_t n = keys.size(), starts[] = {0, n};
  Buffer<RowId, B> rows(stream, n);
  Buffer<std::uint32_t, B> counts(stream, n);
  for_each_run(stream, starts, FindSighted{index_.ref(), partitioner, keys.data(), rows.data()});
  for_each(stream, n, ReadSighted{counts_.ref(), rows.data(), needed_, counts.data()});
  return to_host(stream, counts);
}

template <Backend B>
void Sightings<B>::set_counts(Stream<B>& stream, const Partitioner& partitioner,
                              Span<const Key> keys, const std::vector<std::uint32_t>& counts) {
  const Buffer<RowId, B> rows = make_rows(stream, partitioner, keys);
  const Buffer<std::uint32_t, B> given = to_device(stream, counts);
  for_each(stream, keys.size(), WriteSighted{counts_.ref(), rows.data(), needed_, given.data()});
  admitted_ = sum(stream, counts_.size(), IsAdmitted{counts_.ref(), needed_});
}

template <Backend B>
void Sightings<B>::drop_admitted(Stream<B>& stream) {
  Buffer<Key, B> keys(stream, index_.size());
  Buffer<RowId, B> rows(stream, index_.size());
  list_keys(stream, index_, keys.data(), rows.data());
  std::vector<std::int64_t> starts{0};
  for (std::int64_t shard = index_.shards().begin; shard < index_.shards().end; ++shard) {
    starts.push_back(starts.back() + index_.size(shard));
  }
  const Selection<B> waiting = select_runs(stream, Span<const std::int64_t>(starts),
                                           StillWaits{counts_.ref(), rows.data(), needed_});
  const std::int64_t n = waiting.size();
  Buffer<Key, B> taken(stream, n);
  Buffer<float, B> taken_counts(stream, n);
  for_each(stream, n,
           TakeWaiting{.which = waiting.indices.data(),
                       .keys = keys.data(),
                       .rows = rows.data(),
                       .counts = counts_.ref(),
                       .taken = taken.data(),
                       .taken_counts = taken_counts.data()});
  stream.wait();  // the memory of the counts goes
  counts_.truncate(0);
  counts_.allocate(n);
  for_each(stream, n, PutCounts{taken_counts.data(), counts_.ref(), rows.data()});
  replace_keys(stream, index_, Span<const std::int64_t>(waiting.starts), taken.data(), rows.data());
  admitted_ = 0;
}

template <Backend B>
void Sightings<B>::clear(Stream<B>& stream) {
  const std::vector<std::int64_t> none(static_cast<std::size_t>(index_.shards().size()) + 1);
  replace_keys<B>(stream, index_, none, nullptr, nullptr);
  counts_.truncate(0);
  admitted_ = 0;
}

template <Backend B>
SightedKeys Sightings<B>::shard_keys(std::int64_t shard) const {
  const ShardRows content = sorted_rows(index_, shard);
  std::vector<float> counts(content.rows.size());
  copy_rows_out<B>(counts_.ref(), content.rows, {0, sizeof(float)}, counts.data());
  SightedKeys waiting;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto count = std::bit_cast<std::uint32_t>(counts[i]);
    if (count < needed_) {
      waiting.keys.push_back(content.keys[i]);
      waiting.counts.push_back(count);
    }
  }
  return waiting;
}

template <Backend B>
void Sightings<B>::load_shard(std::int64_t shard, Span<const Key> keys,
                              const std::uint32_t* counts) {
  const RowId first = counts_.allocate(keys.size());
  index_.insert(static_cast<std::uint32_t>(shard), keys, first);
  std::vector<float> bits;
  for (std::int64_t i = 0; i < keys.size(); ++i) {
    bits.push_back(std::bit_cast<float>(counts[i]));
  }
  copy_rows_in<B>(counts_.ref(), {first, keys.size()}, {0, sizeof(float)}, bits.data());
}

}  // namespace keyshard
