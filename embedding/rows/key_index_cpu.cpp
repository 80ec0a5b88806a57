#include <algorithm>
#include <memory>
#include <vector>

#include "embedding/rows/key_index.hpp"
#include "embedding/rows/segment_growth.hpp"
#include "runtime/prefetch.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kAhead = 16;       // keys whose buckets are fetched ahead
constexpr std::int64_t kShareKeys = 256;  // that are worth a thread

}  // namespace

template <>
KeyIndex<Cpu>::KeyIndex(Range shards, std::uint64_t seed)
    : shards_(shards),
      seed_(seed),
      segments_(static_cast<KeySegment*>(
          arena_.allocate(static_cast<std::size_t>(shards.size()) * sizeof(KeySegment)))) {
  std::uninitialized_fill_n(segments_, shards.size(), KeySegment{});
}

template <>
void KeyIndex<Cpu>::place(KeySegment& segment, std::uint64_t hash, Key key, RowId row) {
  std::uint32_t at = KeyIndexRef::home(hash, segment.num_buckets);
  while (segment.buckets[at].used == KeyBucket::kSlots) {
    segment.buckets[at].marks |= static_cast<std::uint16_t>(KeyIndexRef::mark(hash));
    at = at + 1 == segment.num_buckets ? 0 : at + 1;
  }
  KeyBucket& bucket = segment.buckets[at];
  bucket.keys[bucket.used] = key;
  bucket.rows[bucket.used] = row;
  ++bucket.used;
}

template <>
void KeyIndex<Cpu>::grow(KeySegment& segment, std::uint32_t num_buckets) {
  KeySegment grown;
  grown.num_buckets = num_buckets;
  grown.size = segment.size;
  grown.buckets =
      static_cast<KeyBucket*>(arena_.allocate(std::size_t{num_buckets} * sizeof(KeyBucket)));
  for (std::uint32_t b = 0; b < num_buckets; ++b) {
    grown.buckets[b].used = 0;
    grown.buckets[b].marks = 0;
  }
  const KeyIndexRef hasher = ref();
  for (std::uint32_t b = 0; b < segment.num_buckets; ++b) {
    const KeyBucket& bucket = segment.buckets[b];
    for (int slot = 0; slot < bucket.used; ++slot) {
      place(grown, hasher.hash(bucket.keys[slot]), bucket.keys[slot], bucket.rows[slot]);
    }
  }
  if (segment.buckets != nullptr) {
    arena_.release(segment.buckets, std::size_t{segment.num_buckets} * sizeof(KeyBucket));
  }
  segment = grown;
}

template <>
void KeyIndex<Cpu>::reserve(std::uint32_t shard, std::int64_t more) {
  KeySegment& segment = segment_of(shard);
  const std::uint32_t wanted =
      buckets_with_room(segment, shard, segment.size + static_cast<std::uint64_t>(more));
  if (wanted > segment.num_buckets) {
    grow(segment, wanted);
  }
}

template <>
void KeyIndex<Cpu>::insert(Key key, std::uint32_t shard, RowId row) {
  reserve(shard, 1);
  KeySegment& segment = segment_of(shard);
  place(segment, ref().hash(key), key, row);
  ++segment.size;
}

template <>
void KeyIndex<Cpu>::insert(std::uint32_t shard, Span<const Key> keys, RowId first) {
  reserve(shard, keys.size());
  const KeyIndexRef hasher = ref();
  KeySegment segment = segment_of(shard);  // a copy: a bucket may not change it
  for (const Key key : keys) {
    place(segment, hasher.hash(key), key, first++);
  }
  segment_of(shard).size += static_cast<std::uint32_t>(keys.size());
}

template <>
void KeyIndex<Cpu>::replace(std::uint32_t shard, const Key* keys, const RowId* rows,
                            std::int64_t n) {
  KeySegment& segment = segment_of(shard);
  const KeySegment before = segment;
  segment = {};
  if (n > 0) {
    grow(segment, buckets_of_replaced(before, shard, static_cast<std::uint64_t>(n)));
  }
  for (std::int64_t i = 0; i < n; ++i) {
    place(segment, ref().hash(keys[i]), keys[i], rows[i]);
  }
  segment.size = static_cast<std::uint32_t>(n);
  if (before.buckets != nullptr) {
    arena_.release(before.buckets, std::size_t{before.num_buckets} * sizeof(KeyBucket));
  }
}

template <>
std::int64_t KeyIndex<Cpu>::size() const noexcept {
  std::int64_t keys = 0;
  for (std::int64_t shard = shards_.begin; shard < shards_.end; ++shard) {
    keys += segment_of(shard).size;
  }
  return keys;
}

template <>
void KeyIndex<Cpu>::reserve(std::int64_t keys) {
  if (shards_.size() == 0 || keys <= 0) {
    return;
  }
  const std::uint32_t buckets = buckets_of_spread(keys, shards_.size());
  for (std::int64_t shard = shards_.begin; shard < shards_.end; ++shard) {
    KeySegment& segment = segment_of(shard);
    if (buckets > segment.num_buckets) {
      grow(segment, buckets);
    }
  }
}

template <>
std::int64_t KeyIndex<Cpu>::size(std::int64_t shard) const {
  return segment_of(shard).size;
}

template <>
void KeyIndex<Cpu>::entries(std::int64_t shard, Key* keys, RowId* rows) const {
  const KeySegment& segment = segment_of(shard);
  for (std::uint32_t b = 0; b < segment.num_buckets; ++b) {
    const KeyBucket& bucket = segment.buckets[b];
    keys = std::copy_n(bucket.keys, bucket.used, keys);
    rows = std::copy_n(bucket.rows, bucket.used, rows);
  }
}

namespace {

/// Inserts those keys of a table whose shards lie in `run`, a part of the table's shards.
void insert_run(const NewKeys<Cpu>& table, Range run, const Key* keys,
                const std::uint16_t* shards) {
  KeyIndex<Cpu>& index = *table.index;
  std::vector<std::int64_t> more(static_cast<std::size_t>(run.size()));
  for (std::int64_t i = table.begin; i < table.end; ++i) {
    if (run.contains(shards[i])) {
      ++more[static_cast<std::size_t>(shards[i] - run.begin)];
    }
  }
  for (std::int64_t shard = run.begin; shard < run.end; ++shard) {
    index.reserve(static_cast<std::uint32_t>(shard),
                  more[static_cast<std::size_t>(shard - run.begin)]);
  }
  for (std::int64_t i = table.begin; i < table.end; ++i) {
    if (i + kAhead < table.end && run.contains(shards[i + kAhead])) {
      prefetch(index.ref().home_of(keys[i + kAhead], shards[i + kAhead]).bucket, 1);
    }
    if (run.contains(shards[i])) {
      index.insert(keys[i], shards[i], table.first + static_cast<RowId>(i - table.begin));
    }
  }
}

}  // namespace

template <>
void list_keys(Stream<Cpu>& stream, const KeyIndex<Cpu>& index, Key* keys, RowId* rows) {
  const Range shards = index.shards();
  std::vector<std::int64_t> starts{0};
  for (std::int64_t shard = shards.begin; shard < shards.end; ++shard) {
    starts.push_back(starts.back() + index.size(shard));
  }
  stream.threads().for_tasks(shards.size(), [&](std::int64_t s, int) {
    const std::int64_t start = starts[static_cast<std::size_t>(s)];
    index.entries(shards.begin + s, keys + start, rows + start);
  });
}

template <>
void replace_keys(Stream<Cpu>& stream, KeyIndex<Cpu>& index, Span<const std::int64_t> starts,
                  const Key* keys, const RowId* rows) {
  const Range shards = index.shards();
  stream.threads().for_tasks(shards.size(), [&](std::int64_t s, int) {
    index.replace(static_cast<std::uint32_t>(shards.begin + s), keys + starts[s], rows + starts[s],
                  starts[s + 1] - starts[s]);
  });
}

/// Every share of the work has its own run of the shards of each table.
template <>
void insert_keys(Stream<Cpu>& stream, const std::vector<NewKeys<Cpu>>& tables, const Key* keys,
                 const std::uint16_t* shards) {
  std::int64_t n = 0;
  for (const NewKeys<Cpu>& table : tables) {
    n += table.end - table.begin;
  }
  const std::int64_t shares = std::clamp<std::int64_t>(n / kShareKeys, 1, stream.threads().size());
  stream.threads().for_tasks(shares, [&](std::int64_t share, int) {
    for (const NewKeys<Cpu>& table : tables) {
      const Range all = table.index->shards();
      const Range run = run_of(share, shares, all.size());
      insert_run(table, {all.begin + run.begin, all.begin + run.end}, keys, shards);
    }
  });
}

}  // namespace keyshard
