// The contents of a table: rows are made, set, and taken out and in shard by shard.
#include <algorithm>

#include "embedding/rows/dedup.hpp"
#include "embedding/rows/row_functors.hpp"
#include "embedding/rows/table.hpp"
#include "runtime/for_each.hpp"
#include "runtime/prefetch.hpp"
#include "runtime/primitives.hpp"
#include "runtime/sort_pairs.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kAhead = 16;  // keys whose buckets are fetched ahead, or rows

struct KeyRow {
  Key key;
  RowId row;
};

/// Makes first + i the row of distinct key i. Every thread inserts into its own run of shards.
void insert_keys(Stream<Cpu>& stream, const Partitioner& partitioner, Span<const Key> keys,
                 RowId first, KeyIndex& index) {
  const auto n = static_cast<std::int64_t>(keys.size());
  Buffer<std::uint16_t, Cpu> shards(stream, n);
  for_each(stream, n, [&](std::int64_t i) {
    shards[i] =
        static_cast<std::uint16_t>(shard_of(partitioner, keys[static_cast<std::size_t>(i)]));
  });
  stream.threads().run([&](int thread) {
    const Range run = run_of(thread, stream.threads().size(), index.shards().size());
    const auto own = [&](std::int64_t i) { return run.contains(shards[i] - index.shards().begin); };
    std::vector<std::int64_t> more(static_cast<std::size_t>(run.size()));
    for (std::int64_t i = 0; i < n; ++i) {
      if (own(i)) {
        ++more[static_cast<std::size_t>(shards[i] - index.shards().begin - run.begin)];
      }
    }
    for (std::int64_t shard = run.begin; shard < run.end; ++shard) {
      index.reserve(static_cast<std::uint32_t>(index.shards().begin + shard),
                    more[static_cast<std::size_t>(shard - run.begin)]);
    }
    for (std::int64_t i = 0; i < n; ++i) {
      if (i + kAhead < n && own(i + kAhead)) {
        prefetch(index.ref()
                     .home_of(keys[static_cast<std::size_t>(i + kAhead)], shards[i + kAhead])
                     .bucket,
                 1);
      }
      if (own(i)) {
        index.insert(keys[static_cast<std::size_t>(i)], shards[i], first + static_cast<RowId>(i));
      }
    }
  });
}

}  // namespace

template <>
void Table<Cpu>::initialize(Stream<Cpu>& stream, Span<const Key> keys, const RowId* rows) {
  const RowStoreRef store = store_.ref();
  const auto n = static_cast<std::int64_t>(keys.size());
  stream.threads().for_shares(n, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::size_t g = 0; g < layout_.groups.size(); ++g) {
      const RowLayout::Group& group = layout_.groups[g];
      std::visit(
          [&](const auto& initializer) {
            run_rows(begin, end,
                     InitializeRow<std::decay_t<decltype(initializer)>>{
                         store, initializer, hash_of(options_.seed, g), keys.data(), rows,
                         group.value_offset, group.dim});
          },
          options_.groups[g].initializer);
      std::int64_t offset = group.state_offset;
      for (const StateColumn& state : group.states) {
        run_rows(begin, end, InitializeState{store, rows, offset, state.width, state.initial});
        offset += state.width;
      }
    }
  });
}

template <>
void Table<Cpu>::insert_missing(Stream<Cpu>& stream, Span<const Key> keys, RowId* rows) {
  const Buffer<std::uint32_t, Cpu> missing =
      select(stream, static_cast<std::int64_t>(keys.size()),
             [rows](std::int64_t i) { return rows[i] == kNoRow; });
  if (missing.size() == 0) {
    return;
  }
  Buffer<Key, Cpu> asked(stream, missing.size());
  for_each(stream, missing.size(), [&](std::int64_t i) { asked[i] = keys[missing[i]]; });
  const Distinct<Cpu> fresh = dedup(
      stream, Occurrences{asked.span(), nullptr, Span<const Partitioner>(&partitioner_, 1), 1});
  const RowId first = store_.allocate(fresh.size());
  insert_keys(stream, partitioner_, fresh.keys.span(), first, index_);
  for_each(stream, missing.size(),
           [&](std::int64_t i) { rows[missing[i]] = first + fresh.inverse[i]; });
  Buffer<RowId, Cpu> fresh_rows(stream, fresh.size());
  for_each(stream, fresh.size(),
           [&](std::int64_t i) { fresh_rows[i] = first + static_cast<RowId>(i); });
  initialize(stream, fresh.keys.span(), fresh_rows.data());
}

template <>
void Table<Cpu>::find_or_insert(Stream<Cpu>& stream, Span<const Key> keys, RowId* rows) {
  find(stream, keys, rows);
  insert_missing(stream, keys, rows);
}

template <>
void Table<Cpu>::assign(Stream<Cpu>& stream, Span<const Key> keys, const float* values) {
  Buffer<RowId, Cpu> rows(stream, static_cast<std::int64_t>(keys.size()));
  find_or_insert(stream, keys, rows.data());
  initialize(stream, keys, rows.data());
  const RowStoreRef store = store_.ref();
  for_each(stream, rows.size(), [&](std::int64_t i) {
    std::copy_n(values + i * layout_.dim, layout_.dim, store.row(rows[i]));
  });
}

template <>
ShardRows Table<Cpu>::shard_rows(std::int64_t shard) const {
  const KeySegment& segment = index_.segment(shard);
  std::vector<KeyRow> sorted;
  sorted.reserve(segment.size);
  for (std::uint32_t b = 0; b < segment.num_buckets; ++b) {
    const KeyBucket& bucket = segment.buckets[b];
    for (int slot = 0; slot < bucket.used; ++slot) {
      sorted.push_back({bucket.keys[slot], bucket.rows[slot]});
    }
  }
  sort_pairs(Span<KeyRow>(sorted));
  ShardRows content;
  content.keys.reserve(sorted.size());
  content.rows.reserve(sorted.size());
  for (const KeyRow& entry : sorted) {
    content.keys.push_back(entry.key);
    content.rows.push_back(entry.row);
  }
  return content;
}

template <>
void Table<Cpu>::copy_column(Span<const RowId> rows, const RowColumn& column, float* out) const {
  const RowStoreRef store = store_.ref();
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    if (i + kAhead < rows.size()) {
      prefetch(store.row(rows[i + kAhead]) + column.offset, column.width);
    }
    out = std::copy_n(store.row(rows[i]) + column.offset, column.width, out);
  }
}

template <>
void Table<Cpu>::load_shard(std::int64_t shard, Span<const Key> keys,
                            const std::vector<const float*>& columns) {
  const auto count = static_cast<std::int64_t>(keys.size());
  const RowId first = store_.allocate(count);
  index_.reserve(static_cast<std::uint32_t>(shard), count);
  for (std::int64_t i = 0; i < keys.size(); ++i) {
    index_.insert(keys[i], static_cast<std::uint32_t>(shard), first + static_cast<RowId>(i));
  }
  const RowStoreRef store = store_.ref();
  const std::vector<RowColumn> places = this->columns();
  for (std::size_t c = 0; c < places.size(); ++c) {
    const float* from = columns[c];
    for (std::int64_t i = 0; i < count; ++i, from += places[c].width) {
      std::copy_n(from, places[c].width,
                  store.row(first + static_cast<RowId>(i)) + places[c].offset);
    }
  }
}

}  // namespace keyshard
