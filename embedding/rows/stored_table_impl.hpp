// The bodies of those members of Table that are about records: rows as a store holds them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "embedding/rows/staging_impl.hpp"
#include "embedding/rows/table.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"

namespace keyshard {

/// Bytes of a float of a record. Values of 16 bits lie in a record as in a row, two to a float.
inline constexpr std::int64_t kFloat = sizeof(float);

/// Where a column lies in a record whose status comes after `floats` floats.
inline RowPart part_of_record(const RowColumn& column, std::int64_t floats) {
  const std::int64_t bytes = value_bytes(column.dtype);
  return {column.is_status ? floats * kFloat : column.offset * bytes, column.width * bytes};
}

/// The keys without repeats, ascending, on the host.
template <Backend B>
std::vector<Key> distinct_on_host(Stream<B>& stream, Span<const Key> keys) {
  std::vector<Key> all = to_host(stream, keys);
  make_distinct(all);
  return all;
}

template <Backend B>
void Table<B>::find_or_insert(Stream<B>& stream, Span<const Key> keys, RowId* rows) {
  find_or_make(stream, keys, rows);
  if (stored_ == nullptr) {
    return;
  }
  // Those without a record are new.
  const std::vector<Key> all = distinct_on_host(stream, keys);
  Buffer<RowId, B> all_rows(stream, std::ssize(all));
  find(stream, to_device(stream, all).span(), all_rows.data());
  const std::vector<RowId> found = to_host(stream, all_rows);
  std::vector<Key> fresh;
  std::vector<RowId> fresh_rows;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (found[i] >= stored_->rows.size()) {
      fresh.push_back(all[i]);
      fresh_rows.push_back(found[i]);
    }
  }
  const std::vector<StoreKey> made = store_keys(*this, fresh);
  keep_changed(*this, made, fresh_rows, nullptr, nullptr);
  note_changed(made);
}

template <Backend B>
void Table<B>::keep(Stream<B>& stream, Span<const Key> keys, const RowId* rows) {
  if (stored_ == nullptr) {
    return;
  }
  const std::vector<StoreKey> kept = store_keys(*this, to_host(stream, keys));
  keep_changed(*this, kept, to_host(stream, Span<const RowId>(rows, keys.size())), nullptr,
               nullptr);
  note_changed(kept);
}

template <Backend B>
void Table<B>::note_changed(const std::vector<StoreKey>& keys) {
  if (stored_ != nullptr && stored_->changes) {
    stored_->changes->note_changed(keys);
  }
}

/// Other writers of a store may have removed rows, or dropped what was meant for them.
template <Backend B>
ShardChanges Table<B>::stored_changes(std::int64_t shard) const {
  ShardChanges changes = stored_->changes->changes(shard);
  if (!stored_->writes_through() || changes.changed.empty()) {
    return changes;
  }
  const std::lock_guard lock(stored_->shard_mutex());
  Store& store = stored_->store();
  std::vector<float> records(changes.changed.size() *
                             static_cast<std::size_t>(store.layout().size()));
  std::vector<std::uint8_t> found(changes.changed.size());
  store.get(store_keys(*this, changes.changed), records.data(), found.data());
  std::size_t left = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] != 0) {
      changes.changed[left++] = changes.changed[i];
    } else {
      changes.removed.push_back(changes.changed[i]);
    }
  }
  changes.changed.resize(left);
  std::sort(changes.removed.begin(), changes.removed.end());
  return changes;
}

template <Backend B>
std::vector<float> Table<B>::records(const std::vector<RowId>& rows) const {
  const std::int64_t n = std::ssize(rows), floats = layout_.floats, size = floats + 1;
  std::vector<float> values(static_cast<std::size_t>(n * floats));
  copy_rows_out<B>(store_.ref(), rows, {0, floats * kFloat}, values.data());
  if (!has_status(options_.restrict_policy)) {
    return values;
  }
  std::vector<float> statuses(rows.size());
  copy_rows_out<B>(statuses_.ref(), rows, {0, kFloat}, statuses.data());
  std::vector<float> records(static_cast<std::size_t>(n * size));
  for (std::int64_t i = 0; i < n; ++i) {
    std::copy_n(values.data() + i * floats, floats, records.data() + i * size);
    records[static_cast<std::size_t>((i + 1) * size - 1)] = statuses[static_cast<std::size_t>(i)];
  }
  return records;
}

/// Copies row rows[i] and its status to the record at places[i], or from there.
template <bool kOut>
struct MoveRecord {
  RowStoreRef store;
  RowStoreRef statuses;
  const RowId* rows;
  float* const* places;
  std::int64_t floats;
  bool has_status;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    float* record = places[i];
    float* row = store.row(rows[i]);
    for (std::int64_t d = team.thread_rank(); d < floats; d += team.num_threads()) {
      move(row[d], record[d]);
    }
    if (has_status && team.thread_rank() == 0) {
      move(*statuses.row(rows[i]), record[floats]);
    }
  }

  KEYSHARD_HD static void move(float& of_row, float& of_record) {
    if constexpr (kOut) {
      of_record = of_row;
    } else {
      of_row = of_record;
    }
  }
};

template <Backend B>
template <bool kOut>
void Table<B>::move_records(Stream<B>& stream, const std::vector<RowId>& rows,
                            const std::vector<float*>& places) const {
  const Buffer<RowId, B> device_rows = to_device(stream, rows);
  const Buffer<float*, B> device_places = to_device(stream, places);
  for_each_row(stream, std::ssize(rows),
               MoveRecord<kOut>{.store = store_.ref(),
                                .statuses = statuses_.ref(),
                                .rows = device_rows.data(),
                                .places = device_places.data(),
                                .floats = layout_.floats,
                                .has_status = has_status(options_.restrict_policy)});
  stream.wait();
}

template <Backend B>
void Table<B>::copy_records(Stream<B>& stream, const std::vector<RowId>& rows,
                            const std::vector<float*>& places) const {
  move_records<true>(stream, rows, places);
}

template <Backend B>
void Table<B>::set_records(Stream<B>& stream, const std::vector<RowId>& rows,
                           const float* records) {
  const std::int64_t n = std::ssize(rows),
                     size = layout_.floats + (has_status(options_.restrict_policy) ? 1 : 0);
  Buffer<float, B> from = to_device(stream, Span<const float>(records, n * size));
  move_records<false>(stream, rows, places_of(from.data(), n, size));
}

template <Backend B>
std::vector<RowId> Table<B>::insert_records(Stream<B>& stream, const std::vector<Key>& keys,
                                            const std::vector<float*>& places) {
  Table<B>* const self[] = {this};
  const std::int64_t n = std::ssize(keys), starts[] = {0, n};
  const Buffer<Key, B> device_keys = to_device(stream, keys);
  Buffer<RowId, B> device_rows = to_device(stream, std::vector<RowId>(keys.size(), kNoRow));
  insert_missing<B>(stream, self, {device_keys.data(), starts}, device_rows.data());
  const std::vector<RowId> rows = to_host(stream, device_rows);
  move_records<false>(stream, rows, places);
  stored_->rows.resize(static_cast<std::size_t>(index_.size()));
  for (const RowId row : rows) {
    stored_->rows[row] = {.used = 0, .changed = false, .stored = true};
  }
  ++steps_;  // whoever found no row of these keys is to find them again
  return rows;
}

template <Backend B>
void Table<B>::forget_from(RowId rows) {
  for (std::int64_t shard = shards().begin; shard < shards().end; ++shard) {
    const ShardRows all = shard_rows(shard);
    ShardRows left;
    for (std::size_t i = 0; i < all.keys.size(); ++i) {
      if (all.rows[i] < rows) {
        left.keys.push_back(all.keys[i]);
        left.rows.push_back(all.rows[i]);
      }
    }
    if (left.keys.size() < all.keys.size()) {
      index_.replace(static_cast<std::uint32_t>(shard), left.keys.data(), left.rows.data(),
                     std::ssize(left.keys));
    }
  }
  truncate(rows);
}

template <Backend B>
std::int64_t Table<B>::stored_size(Range wanted) const {
  std::int64_t rows = stored_->store().count(wanted);
  for (std::int64_t shard = wanted.begin; shard < wanted.end; ++shard) {
    const auto n = static_cast<std::size_t>(index_.size(shard));
    std::vector<Key> keys(n);
    std::vector<RowId> held(n);
    index_.entries(shard, keys.data(), held.data());
    for (const RowId row : held) {
      rows += stored_->rows[row].stored || stored_->writes_through() ? 0 : 1;
    }
  }
  return rows;
}

template <Backend B>
void Table<B>::put_shard(std::int64_t shard, Span<const Key> keys,
                         const std::vector<const void*>& columns) {
  const RecordLayout& layout = stored_->store().layout();
  const std::vector<RowColumn> places = this->columns();
  std::vector<StoreKey> names;
  std::vector<float> records(static_cast<std::size_t>(keys.size() * layout.size()));
  for (std::int64_t i = 0; i < keys.size(); ++i) {
    names.push_back({keys[i], static_cast<std::uint32_t>(shard)});
    for (std::size_t c = 0; c < places.size(); ++c) {
      const RowPart part = part_of_record(places[c], layout.floats);
      std::memcpy(reinterpret_cast<std::byte*>(records.data() + i * layout.size()) + part.offset,
                  static_cast<const std::byte*>(columns[c]) + i * part.size,
                  static_cast<std::size_t>(part.size));
    }
  }
  const std::lock_guard lock(stored_->shard_mutex());
  stored_->store().put(names, records.data());
  note_changed(names);
}

/// Merges the records of a shard in the store with those of rows in memory, which count.
template <Backend B>
ShardContent Table<B>::shard_content(std::int64_t shard) const {
  ShardContent content{shard_rows(shard), {}, 0};
  if (stored_ == nullptr) {
    return content;
  }
  const std::lock_guard lock(stored_->shard_mutex());
  const ShardRows held = stored_->writes_through() ? ShardRows{} : ShardRows(std::move(content));
  const std::vector<float> in_memory = records(held.rows);
  ShardContent merged;
  const auto size = static_cast<std::ptrdiff_t>(stored_->store().layout().size());
  merged.record_size = size;
  std::size_t next = 0;
  const auto take = [&](Key key, const float* record) {
    merged.keys.push_back(key);
    merged.records.insert(merged.records.end(), record, record + size);
  };
  const auto take_until = [&](bool all, Key end) {
    for (; next < held.keys.size() && (all || held.keys[next] < end); ++next) {
      take(held.keys[next], in_memory.data() + static_cast<std::ptrdiff_t>(next) * size);
    }
  };
  stored_->store().scan(shard, [&](Key key, const float* record) {
    take_until(false, key);
    if (next == held.keys.size() || held.keys[next] != key) {
      take(key, record);
    }
  });
  take_until(true, 0);
  return merged;
}

template <Backend B>
void Table<B>::copy_column(const ShardContent& content, const RowColumn& column, void* out) const {
  if (stored_ == nullptr) {
    copy_column(content.rows, column, out);
    return;
  }
  const RowPart part = part_of_record(column, stored_->store().layout().floats);
  for (std::int64_t i = 0; i < std::ssize(content.keys); ++i) {
    const float* record = content.records.data() + i * content.record_size;
    std::memcpy(static_cast<std::byte*>(out) + i * part.size,
                reinterpret_cast<const std::byte*>(record) + part.offset,
                static_cast<std::size_t>(part.size));
  }
}

}  // namespace keyshard
