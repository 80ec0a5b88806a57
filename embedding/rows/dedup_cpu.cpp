#include <algorithm>
#include <bit>
#include <cstring>

#include "embedding/rows/dedup.hpp"
#include "runtime/error.hpp"
#include "runtime/runs.hpp"
#include "runtime/sort_pairs.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kBucketOccurrences = 2048;  // a bucket's hash table stays in the first cache
constexpr std::int64_t kOccurrenceWork = 3;        // nanoseconds of a pass

/// How occurrences are dealt to buckets: bucket = (owner * tables + table) * ranges + range of
/// shards.
struct Dealing {
  const TableOwners& owners;
  std::int64_t tables;
  std::int64_t ranges;

  std::int64_t buckets() const { return owners.ranks() * tables * ranges; }

  /// The bucket of each shard of the first table, for each of the dealings of `owners`.
  std::vector<std::uint32_t> of_shards() const {
    std::vector<std::uint32_t> buckets;
    for (const ShardOwners& dealt : owners.dealings()) {
      for (std::int64_t run = 0; run < dealt.runs(); ++run) {
        const Range shards = dealt.shards_of_run(run);
        const std::int64_t first = dealt.rank_of_run(run) * tables * ranges;
        for (std::int64_t shard = 0; shard < shards.size(); ++shard) {
          buckets.push_back(static_cast<std::uint32_t>(first + shard * ranges / shards.size()));
        }
      }
    }
    return buckets;
  }
};

/// Cuts runs of shards into so many ranges that a bucket holds few occurrences.
Dealing deal(const TableOwners& owners, std::int64_t tables, std::int64_t occurrences) {
  Dealing dealing{owners, tables, 1};
  std::int64_t fewest = owners.ranks(), most = 1;  // runs that a table is dealt in
  for (const ShardOwners& dealt : owners.dealings()) {
    fewest = std::min(fewest, dealt.runs());
    most = std::max(most, dealt.runs());
  }
  while (fewest * tables * dealing.ranges * kBucketOccurrences < occurrences &&
         dealing.ranges * 2 * most <= kShards) {
    dealing.ranges *= 2;
  }
  return dealing;
}

/// Occurrences in the order of buckets.
struct Dealt {
  Buffer<Key, Cpu> keys;
  Buffer<std::uint32_t, Cpu> occurrences;
  std::vector<std::int64_t> starts;  ///< [buckets + 1]
};

/// Calls body(i, table) for the occurrences [begin, end).
template <class Body>
void for_tables(const Occurrences& in, std::int64_t begin, std::int64_t end, const Body& body) {
  const auto tables = static_cast<std::int64_t>(in.partitioners.size());
  if (in.tables != nullptr) {
    for (std::int64_t i = begin; i < end; ++i) {
      body(i, in.tables[i]);
    }
    return;
  }
  std::int64_t block =
      std::upper_bound(in.blocks.begin(), in.blocks.end(), begin) - in.blocks.begin() - 1;
  while (begin < end) {
    const std::int64_t stop = in.blocks.empty() ? end : std::min(end, in.blocks[block + 1]);
    const auto table = static_cast<std::uint16_t>(in.blocks.empty() ? 0 : block % tables);
    for (; begin < stop; ++begin) {
      body(begin, table);
    }
    ++block;
  }
}

/// The buckets of a table: bucket `first + of_shards[s]` is that of shard s.
struct TableBuckets {
  const std::uint32_t* of_shards;
  std::uint32_t first;
};

std::vector<TableBuckets> buckets_of_tables(const Dealing& dealing,
                                            const std::vector<std::uint32_t>& of_shards) {
  std::vector<TableBuckets> buckets;
  for (std::int64_t table = 0; table < dealing.tables; ++table) {
    buckets.push_back({of_shards.data() + dealing.owners.dealing(table) * kShards,
                       static_cast<std::uint32_t>(table * dealing.ranges)});
  }
  return buckets;
}

/// Writes the bucket of each occurrence; each share counts its own occurrences in `places`.
/// shard_by(partitioner, key) is the shard of a key.
template <class ShardBy>
void count_buckets(Stream<Cpu>& stream, const Occurrences& in, const Dealing& dealing,
                   const ShardBy& shard_by, std::uint32_t* bucket_of,
                   std::vector<std::vector<std::int64_t>>& places) {
  const std::vector<std::uint32_t> of_shards = dealing.of_shards();
  const std::vector<TableBuckets> buckets = buckets_of_tables(dealing, of_shards);
  const auto count_share = [&](std::int64_t begin, std::int64_t end, int share) {
    std::vector<std::int64_t>& count = places[static_cast<std::size_t>(share)];
    for_tables(in, begin, end, [&](std::int64_t i, std::uint16_t table) {
      const std::uint32_t shard = shard_by(in.partitioners[table], in.keys[i]);
      const std::uint32_t bucket = buckets[table].first + buckets[table].of_shards[shard];
      bucket_of[i] = bucket;
      ++count[bucket];
    });
  };
  stream.threads().for_shares(static_cast<std::int64_t>(in.keys.size()), count_share,
                              stream.share_work() / kOccurrenceWork);
}

Dealt deal_occurrences(Stream<Cpu>& stream, const Occurrences& in, const Dealing& dealing) {
  const auto n = static_cast<std::int64_t>(in.keys.size());
  const auto buckets = static_cast<std::size_t>(dealing.buckets());
  const auto threads = static_cast<std::size_t>(stream.threads().size());
  Dealt out{{stream, n}, {stream, n}, {}};

  // Where a share puts its occurrences follows from the counts of all shares.
  Buffer<std::uint32_t, Cpu> bucket_of(stream, n);
  std::vector<std::vector<std::int64_t>> places(threads, std::vector<std::int64_t>(buckets));
  if (std::all_of(in.partitioners.begin(), in.partitioners.end(), is_built_in)) {
    const auto shard_by = [](const Partitioner& p, Key key) { return built_in_shard(p, key); };
    count_buckets(stream, in, dealing, shard_by, bucket_of.data(), places);
  } else {
    const auto shard_by = [](const Partitioner& p, Key key) { return shard_of(p, key); };
    count_buckets(stream, in, dealing, shard_by, bucket_of.data(), places);
  }

  out.starts = place_counts(places);
  const auto move_share = [&](std::int64_t begin, std::int64_t end, int share) {
    std::vector<std::int64_t>& next = places[static_cast<std::size_t>(share)];
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t at = next[bucket_of[i]]++;
      out.keys[at] = in.keys[i];
      out.occurrences[at] = static_cast<std::uint32_t>(i);
    }
  };
  stream.threads().for_shares(n, move_share, stream.share_work() / kOccurrenceWork);
  return out;
}

/// A hash set of the keys of one bucket. A thread uses its set for one bucket after another.
class BucketSet {
 public:
  void reset(std::int64_t occurrences) {
    const auto slots =
        std::bit_ceil(static_cast<std::size_t>(std::max<std::int64_t>(occurrences, 8)) * 2);
    slots_.assign(slots, 0);
    shift_ = 64 - std::countr_zero(slots);
  }

  /// The number of `key` in `keys` [size]; a new key is appended. A free slot counts as one that
  /// holds number `size`, so that a new key takes the branch of a known key: no processor could
  /// predict which of the two comes.
  std::uint32_t number(Key key, Key* keys, std::uint32_t& size) {
    keys[size] = key;
    for (std::size_t at = mix64(key) >> shift_;; at = (at + 1) & (slots_.size() - 1)) {
      const std::uint32_t stored = slots_[at];
      const std::uint32_t number = stored == 0 ? size : stored - 1;
      if (keys[number] == key) {
        slots_[at] = number + 1;
        size += stored == 0 ? 1 : 0;
        return number;
      }
    }
  }

 private:
  std::vector<std::uint32_t> slots_;
  int shift_ = 0;
};

/// How many threads the work on the occurrences is worth.
int most_shares(const Stream<Cpu>& stream, const Dealt& dealt) {
  const std::int64_t work = dealt.keys.size() * kOccurrenceWork;
  return static_cast<int>(
      std::clamp<std::int64_t>(work / std::max<std::int64_t>(stream.share_work(), 1), 1, 1 << 10));
}

/// Moves the distinct keys of each bucket to its front; numbers[i] becomes the number of the
/// distinct key that occurrence i is. Returns how many each bucket has.
std::vector<std::int64_t> number_buckets(Stream<Cpu>& stream, Dealt& dealt,
                                         Buffer<std::uint32_t, Cpu>& numbers) {
  const auto buckets = static_cast<std::int64_t>(dealt.starts.size()) - 1;
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(buckets));
  std::vector<BucketSet> sets(static_cast<std::size_t>(stream.threads().size()));
  stream.threads().for_tasks(
      buckets,
      [&](std::int64_t bucket, int thread) {
        const std::int64_t begin = dealt.starts[static_cast<std::size_t>(bucket)];
        const std::int64_t end = dealt.starts[static_cast<std::size_t>(bucket) + 1];
        BucketSet& set = sets[static_cast<std::size_t>(thread)];
        set.reset(end - begin);
        std::uint32_t size = 0;
        for (std::int64_t i = begin; i < end; ++i) {
          numbers[i] = set.number(dealt.keys[i], dealt.keys.data() + begin, size);
        }
        sizes[static_cast<std::size_t>(bucket)] = size;
      },
      most_shares(stream, dealt));
  return sizes;
}

/// Writes what belongs to one bucket: its keys, the inverse, and the occurrences of each key.
void write_bucket(const Dealt& dealt, const Buffer<std::uint32_t, Cpu>& numbers, std::size_t bucket,
                  std::int64_t base, std::int64_t size, Distinct<Cpu>& out) {
  const std::int64_t begin = dealt.starts[bucket], end = dealt.starts[bucket + 1];
  std::memcpy(out.keys.data() + base, dealt.keys.data() + begin,
              static_cast<std::size_t>(size) * sizeof(Key));
  std::uint32_t* offsets = out.offsets.data() + base;
  std::fill_n(offsets, size, 0u);
  for (std::int64_t i = begin; i < end; ++i) {
    ++offsets[numbers[i]];
  }
  auto place = static_cast<std::uint32_t>(begin);
  for (std::int64_t key = 0; key < size; ++key) {
    place += std::exchange(offsets[key], place);
  }
  for (std::int64_t i = begin; i < end; ++i) {
    out.inverse[dealt.occurrences[i]] = static_cast<std::uint32_t>(base + numbers[i]);
    out.occurrences[offsets[numbers[i]]++] = dealt.occurrences[i];
  }
  // offsets[key] is now the end of the occurrences of `key`, which is the start of the next key:
  // shift by one.
  for (std::int64_t key = size - 1; key > 0; --key) {
    offsets[key] = offsets[key - 1];
  }
  if (size > 0) {
    offsets[0] = static_cast<std::uint32_t>(begin);
  }
}

}  // namespace

template <>
Distinct<Cpu> dedup(Stream<Cpu>& stream, const Occurrences& in) {
  const auto n = static_cast<std::int64_t>(in.keys.size());
  require(n < std::int64_t{0xFFFFFFFF}, Kind::invalid_argument,
          "expected fewer than 2^32 - 1 ids in a batch of one rank: found {}", n);
  const auto tables = static_cast<std::int64_t>(in.partitioners.size());
  const TableOwners nobody(1, tables);
  const Dealing dealing = deal(in.owners == nullptr ? nobody : *in.owners, tables, n);
  Dealt dealt = deal_occurrences(stream, in, dealing);
  Buffer<std::uint32_t, Cpu> numbers(stream, n);
  const std::vector<std::int64_t> sizes = number_buckets(stream, dealt, numbers);

  Distinct<Cpu> out;
  std::vector<std::int64_t> bases(sizes.size() + 1);
  for (std::size_t bucket = 0; bucket < sizes.size(); ++bucket) {
    bases[bucket + 1] = bases[bucket] + sizes[bucket];
  }
  for (std::size_t bucket = 0; bucket < bases.size();
       bucket += static_cast<std::size_t>(dealing.ranges)) {
    out.blocks.push_back(bases[bucket]);
  }
  const std::int64_t size = bases.back();
  out.keys = {stream, size};
  out.inverse = {stream, n};
  out.offsets = {stream, size + 1};
  out.occurrences = {stream, n};
  stream.threads().for_tasks(
      static_cast<std::int64_t>(sizes.size()),
      [&](std::int64_t bucket, int) {
        const auto b = static_cast<std::size_t>(bucket);
        write_bucket(dealt, numbers, b, bases[b], sizes[b], out);
      },
      most_shares(stream, dealt));
  out.offsets[size] = static_cast<std::uint32_t>(n);
  return out;
}

}  // namespace keyshard
