// The index of a CUDA device. An insertion counts the keys of each shard, the host lets segments
// grow that would become too full, and a launch places all keys.
#include <algorithm>
#include <vector>

#include "embedding/rows/bucket_functors.hpp"
#include "embedding/rows/key_index.hpp"
#include "embedding/rows/segment_growth.hpp"
#include "runtime/copy.hpp"
#include "runtime/primitives_cuda.hpp"

namespace keyshard {
namespace {

/// Changes of segments that are planned, then made, all together. Where planning fails nothing has
/// changed.
class SegmentChanges {
 public:
  SegmentChanges() = default;
  SegmentChanges(const SegmentChanges&) = delete;
  SegmentChanges& operator=(const SegmentChanges&) = delete;

  ~SegmentChanges() {
    for (std::size_t i = 0; i < changes_.size(); ++i) {
      const KeySegment& left = made_ ? changes_[i].before : changes_[i].after;
      if (left.buckets != nullptr) {
        owners_[i].index->arena().release(left.buckets, bytes_of(left));
      }
    }
  }

  /// Plans a segment of `buckets` buckets. Throws Error{out_of_memory}.
  void plan(KeyIndex<Cuda>& index, std::int64_t shard, std::uint32_t buckets) {
    const KeySegment before = index.segment(shard);
    owners_.push_back({&index, shard});
    changes_.push_back(
        {index.device_segment(shard), before, {nullptr, buckets, before.size}, index.ref().seed});
    if (buckets > 0) {
      KeySegment& after = changes_.back().after;
      after.buckets = static_cast<KeyBucket*>(index.arena().allocate(bytes_of(after)));
    }
  }

  /// Makes all of them. The keys of the segments come along where `keep` says so. Waits where there
  /// are any, for then buckets go back.
  void make(Stream<Cuda>& stream, bool keep) {
    if (changes_.empty()) {
      return;
    }
    const Buffer<SegmentChange, Cuda> changes = to_device(stream, changes_);
    launch_buckets<EmptyBucket>(stream, changes, &SegmentChange::after);
    if (keep) {
      launch_buckets<MoveKeys>(stream, changes, &SegmentChange::before);
    }
    for_each(stream, changes.size(), ShowSegment{changes.data()});
    stream.wait();
    for (std::size_t i = 0; i < changes_.size(); ++i) {
      owners_[i].index->set_segment(owners_[i].shard, changes_[i].after);
    }
    made_ = true;
  }

 private:
  struct Owner {
    KeyIndex<Cuda>* index;
    std::int64_t shard;
  };

  static std::size_t bytes_of(const KeySegment& segment) {
    return std::size_t{segment.num_buckets} * sizeof(KeyBucket);
  }

  /// A launch over the buckets of the segments before or after.
  template <class F>
  void launch_buckets(Stream<Cuda>& stream, const Buffer<SegmentChange, Cuda>& changes,
                      KeySegment SegmentChange::*side) const {
    std::vector<std::int64_t> starts{0};
    for (const SegmentChange& change : changes_) {
      starts.push_back(starts.back() + (change.*side).num_buckets);
    }
    Buffer<std::int64_t, Cuda> storage;
    const std::int64_t* on_device = device_view<std::int64_t>(stream, starts, storage);
    for_each(stream, starts.back(), F{{changes.data(), on_device, changes.size()}});
  }

  std::vector<SegmentChange> changes_;
  std::vector<Owner> owners_;
  bool made_ = false;
};

}  // namespace

KeyIndex<Cuda>::KeyIndex(Range shards, std::uint64_t seed)
    : shards_(shards),
      seed_(seed),
      segments_(static_cast<KeySegment*>(
          arena_.allocate(static_cast<std::size_t>(shards.size()) * sizeof(KeySegment)))),
      plan_(static_cast<std::size_t>(shards.size())) {
  Stream<Cuda> stream = stream_of_call();
  copy_to_device(stream, plan_.data(), shards.size(), segments_);
  stream.wait();
}

void KeyIndex<Cuda>::insert(std::uint32_t shard, Span<const Key> keys, RowId first) {
  if (keys.size() == 0) {
    return;
  }
  Stream<Cuda> stream = stream_of_call();
  const Buffer<Key, Cuda> on_device = to_device(stream, keys);
  const Buffer<std::uint16_t, Cuda> shards =
      to_device(stream, std::vector<std::uint16_t>(static_cast<std::size_t>(keys.size()),
                                                   static_cast<std::uint16_t>(shard)));
  insert_keys<Cuda>(stream, {{this, 0, keys.size(), first}}, on_device.data(), shards.data());
  stream.wait();
}

void KeyIndex<Cuda>::reserve(std::int64_t keys) {
  if (shards_.size() == 0 || keys <= 0) {
    return;
  }
  const std::uint32_t buckets = buckets_of_spread(keys, shards_.size());
  SegmentChanges changes;
  for (std::int64_t shard = shards_.begin; shard < shards_.end; ++shard) {
    if (buckets > segment(shard).num_buckets) {
      changes.plan(*this, shard, buckets);
    }
  }
  Stream<Cuda> stream = stream_of_call();
  changes.make(stream, true);
}

void KeyIndex<Cuda>::entries(std::int64_t shard, Key* keys, RowId* rows) const {
  const KeySegment& from = segment(shard);
  if (from.size == 0) {
    return;
  }
  Stream<Cuda> stream = stream_of_call();
  for (const KeyBucket& bucket :
       to_host(stream, Span<const KeyBucket>(from.buckets, from.num_buckets))) {
    keys = std::copy_n(bucket.keys, bucket.used, keys);
    rows = std::copy_n(bucket.rows, bucket.used, rows);
  }
}

std::int64_t KeyIndex<Cuda>::size() const noexcept {
  std::int64_t keys = 0;
  for (const KeySegment& segment : plan_) {
    keys += segment.size;
  }
  return keys;
}

namespace {

/// The contents of several shards become others: shard shards.begin + s gets the keys starts[s] ..
/// starts[s + 1] and their rows, on the device.
void replace_run(Stream<Cuda>& stream, KeyIndex<Cuda>& index, Range shards,
                 Span<const std::int64_t> starts, const Key* keys, const RowId* rows) {
  SegmentChanges changes;
  for (std::int64_t s = 0; s < shards.size(); ++s) {
    const std::int64_t shard = shards.begin + s;
    const auto n = static_cast<std::uint64_t>(starts[s + 1] - starts[s]);
    const KeySegment& before = index.segment(shard);
    if (n > 0 || before.num_buckets > 0) {
      changes.plan(index, shard, buckets_of_replaced(before, shard, n));
    }
  }
  changes.make(stream, false);
  for (std::int64_t s = 0; s < shards.size(); ++s) {
    KeySegment segment = index.segment(shards.begin + s);
    segment.size = static_cast<std::uint32_t>(starts[s + 1] - starts[s]);
    index.set_segment(shards.begin + s, segment);
  }
  KeyIndexRef from = index.ref();
  from.segments += shards.begin - from.first_shard;
  from.first_shard = shards.begin;
  Buffer<std::int64_t, Cuda> storage;
  for_each(stream, starts[shards.size()],
           PlaceListed{.index = from,
                       .starts = device_view(stream, starts, storage),
                       .shards = shards.size(),
                       .keys = keys,
                       .rows = rows});
}

/// How many keys of each table and shard there are, table after table.
std::vector<std::uint32_t> count_keys(Stream<Cuda>& stream, const AllNewKeys& all, std::int64_t n,
                                      std::int64_t counters) {
  Buffer<std::uint32_t, Cuda> counts(stream, counters);
  fill_zero(stream, counts.data(), counters);
  for_each(stream, n, CountNewKey{all, counts.data()});
  return to_host(stream, counts);
}

/// Makes room for so many more keys of each table and shard, and counts them.
void make_room(Stream<Cuda>& stream, const std::vector<NewKeys<Cuda>>& tables,
               const std::vector<std::uint32_t>& more) {
  SegmentChanges changes;
  auto of_shard = more.begin();
  for (const NewKeys<Cuda>& table : tables) {
    const Range shards = table.index->shards();
    for (std::int64_t shard = shards.begin; shard < shards.end; ++shard, ++of_shard) {
      if (*of_shard == 0) {
        continue;  // another thread may be at this shard
      }
      const KeySegment& segment = table.index->segment(shard);
      const std::uint32_t buckets =
          buckets_with_room(segment, shard, std::uint64_t{segment.size} + *of_shard);
      if (buckets > segment.num_buckets) {
        changes.plan(*table.index, shard, buckets);
      }
    }
  }
  changes.make(stream, true);
  of_shard = more.begin();
  for (const NewKeys<Cuda>& table : tables) {
    const Range shards = table.index->shards();
    for (std::int64_t shard = shards.begin; shard < shards.end; ++shard, ++of_shard) {
      if (*of_shard > 0) {
        KeySegment segment = table.index->segment(shard);
        segment.size += *of_shard;
        table.index->set_segment(shard, segment);
      }
    }
  }
}

}  // namespace

void KeyIndex<Cuda>::replace(std::uint32_t shard, const Key* keys, const RowId* rows,
                             std::int64_t n) {
  Stream<Cuda> stream = stream_of_call();
  const Buffer<Key, Cuda> device_keys = to_device(stream, Span<const Key>(keys, n));
  const Buffer<RowId, Cuda> device_rows = to_device(stream, Span<const RowId>(rows, n));
  const std::int64_t starts[] = {0, n};
  replace_run(stream, *this, {shard, shard + 1}, starts, device_keys.data(), device_rows.data());
  stream.wait();
}

template <>
void list_keys(Stream<Cuda>& stream, const KeyIndex<Cuda>& index, Key* keys, RowId* rows) {
  const Range shards = index.shards();
  std::vector<std::int64_t> starts{0};
  for (std::int64_t shard = shards.begin; shard < shards.end; ++shard) {
    starts.push_back(starts.back() + index.segment(shard).num_buckets);
  }
  Buffer<std::int64_t, Cuda> storage, places(stream, starts.back() + 1);
  const AllBuckets all{index.ref().segments, device_view<std::int64_t>(stream, starts, storage),
                       shards.size()};
  scan(stream, starts.back(), all, places.data());
  for_each(stream, starts.back(), ListBucket{all, places.data(), keys, rows});
}

template <>
void replace_keys(Stream<Cuda>& stream, KeyIndex<Cuda>& index, Span<const std::int64_t> starts,
                  const Key* keys, const RowId* rows) {
  replace_run(stream, index, index.shards(), starts, keys, rows);
}

template <>
void insert_keys(Stream<Cuda>& stream, const std::vector<NewKeys<Cuda>>& tables, const Key* keys,
                 const std::uint16_t* shards) {
  std::vector<NewKeysRef> refs;
  std::vector<std::int64_t> starts{0};
  std::int64_t counters = 0;
  for (const NewKeys<Cuda>& table : tables) {
    refs.push_back({table.index->ref(), table.begin, table.first, counters});
    starts.push_back(table.end);
    counters += table.index->shards().size();
  }
  const std::int64_t n = starts.back();
  if (n == 0) {
    return;
  }
  const Buffer<NewKeysRef, Cuda> device_refs = to_device(stream, refs);
  const Buffer<std::int64_t, Cuda> device_starts = to_device(stream, starts);
  const AllNewKeys all{.tables = device_refs.data(),
                       .starts = device_starts.data(),
                       .count = std::ssize(refs),
                       .keys = keys,
                       .shards = shards};
  make_room(stream, tables, count_keys(stream, all, n, counters));
  for_each(stream, n, PlaceNewKey{all});
}

}  // namespace keyshard
