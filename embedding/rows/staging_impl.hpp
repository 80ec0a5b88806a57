// The bodies of bringing rows from a store and back.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "embedding/rows/restrict_impl.hpp"
#include "embedding/rows/staging.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"

namespace keyshard {

template <Backend B>
StoreLocks<B>::StoreLocks(Span<Table<B>* const> tables) {
  if (!any_stored(tables)) {
    return;
  }
  std::vector<std::mutex*> mutexes;
  for (Table<B>* table : tables) {
    if (table->stored() != nullptr) {
      mutexes.push_back(&table->stored()->mutex());
    }
  }
  // In the order of addresses, as every call takes them; a table may be listed twice.
  std::sort(mutexes.begin(), mutexes.end());
  mutexes.erase(std::unique(mutexes.begin(), mutexes.end()), mutexes.end());
  for (std::mutex* mutex : mutexes) {
    locks_.emplace_back(*mutex);
  }
}

/// The keys with their shards.
template <Backend B>
std::vector<StoreKey> store_keys(const Table<B>& table, const std::vector<Key>& keys) {
  std::vector<StoreKey> result;
  result.reserve(keys.size());
  for (const Key key : keys) {
    result.push_back({key, static_cast<std::uint32_t>(shard_of(table.partitioner(), key))});
  }
  return result;
}

template <Backend B>
void drop_rows(Table<B>& table) {
  StoredRows& held = *table.stored();
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    if (table.index().size(shard) > 0) {
      table.index().replace(static_cast<std::uint32_t>(shard), nullptr, nullptr, 0);
    }
  }
  table.truncate(0);
  held.rows.clear();
  held.absent.clear();
}

template <Backend B>
void empty_store(Table<B>& table) {
  for (std::int64_t shard = table.shards().begin;
       table.follows_changes() && shard < table.shards().end; ++shard) {
    for (const Key key : table.shard_content(shard).keys) {
      table.note_removed(shard, key);
    }
  }
  table.stored()->store().clear(table.shards());
  drop_rows(table);
}

template <Backend B>
void end_step(Table<B>& table) {
  table.stored()->end_step();
  if (table.stored()->writes_through()) {
    drop_rows(table);
  }
}

/// The rows that leave a table: [kept] places of those that stay among the keys as the index lists
/// them, and where those of each shard start.
struct Leaving {
  std::vector<std::uint32_t> kept;
  std::vector<std::int64_t> starts{0};
  std::vector<std::size_t> changed;  ///< places of those that leave and differ from their record
};

/// Chooses the `count` least recently used rows that are not `in_use`: by the step of their last
/// use, then by key.
template <Backend B>
Leaving choose_leaving(Table<B>& table, const std::vector<Key>& keys,
                       const std::vector<RowId>& rows, const std::vector<std::uint8_t>& in_use,
                       std::int64_t count) {
  const std::vector<HeldRow>& held = table.stored()->rows;
  std::vector<std::size_t> old;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (in_use[rows[i]] == 0) {
      old.push_back(i);
    }
  }
  count = std::min(count, std::ssize(old));
  std::nth_element(old.begin(), old.begin() + count, old.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(held[rows[a]].used, keys[a]) < std::pair(held[rows[b]].used, keys[b]);
  });
  std::vector<std::uint8_t> leaves(keys.size());
  Leaving leaving;
  for (std::int64_t i = 0; i < count; ++i) {
    leaves[old[static_cast<std::size_t>(i)]] = 1;
  }
  std::size_t place = 0;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    for (std::int64_t i = 0; i < table.index().size(shard); ++i, ++place) {
      if (leaves[place] == 0) {
        leaving.kept.push_back(static_cast<std::uint32_t>(place));
      } else if (held[rows[place]].changed) {
        leaving.changed.push_back(place);
      }
    }
    leaving.starts.push_back(std::ssize(leaving.kept));
  }
  return leaving;
}

/// Writes the rows that leave and differ from their records; they are not removed yet.
template <Backend B>
void write_leaving(Stream<B>& stream, Table<B>& table, const Leaving& leaving,
                   const std::vector<Key>& keys, const std::vector<RowId>& rows) {
  std::vector<Key> left;
  std::vector<RowId> left_rows;
  for (const std::size_t place : leaving.changed) {
    left.push_back(keys[place]);
    left_rows.push_back(rows[place]);
  }
  StoredRows& held = *table.stored();
  if (held.host_store() != nullptr) {
    table.copy_records(stream, left_rows, held.host_store()->make(store_keys(table, left)));
  } else {
    held.store().put(store_keys(table, left), table.records(left_rows).data());
  }
}

template <Backend B>
void write_down(Stream<B>& stream, Table<B>& table) {
  StoredRows& held = *table.stored();
  const std::int64_t n = table.index().size();
  if (!held.writes_through()) {
    Buffer<Key, B> device_keys(stream, n);
    Buffer<RowId, B> device_rows(stream, n);
    list_keys(stream, table.index(), device_keys.data(), device_rows.data());
    const std::vector<RowId> rows = to_host(stream, device_rows);
    Leaving all;
    for (std::size_t place = 0; place < rows.size(); ++place) {
      if (held.rows[rows[place]].changed) {
        all.changed.push_back(place);
      }
    }
    write_leaving(stream, table, all, to_host(stream, device_keys), rows);
  }
  drop_rows(table);
}

/// Makes room for `more` rows, beside those that are in use [rows in memory].
template <Backend B>
void make_room(Stream<B>& stream, Table<B>& table, const std::vector<std::uint8_t>& in_use,
               std::int64_t more) {
  StoredRows& held = *table.stored();
  const std::int64_t n = table.index().size(), most = held.most_rows();
  if (held.writes_through() || n + more <= most) {
    return;
  }
  const std::int64_t needed = more + std::count(in_use.begin(), in_use.end(), 1);
  require(needed <= most, Kind::out_of_memory,
          "table {}: expected fast_bytes for the rows of a step, {} on this rank: found {}, which "
          "is room for {}",
          table.options().name, needed, held.fast_bytes(), most);
  Buffer<Key, B> device_keys(stream, n);
  Buffer<RowId, B> device_rows(stream, n);
  list_keys(stream, table.index(), device_keys.data(), device_rows.data());
  const std::vector<Key> keys = to_host(stream, device_keys);
  const std::vector<RowId> rows = to_host(stream, device_rows);
  // An eighth more leaves, so that not every step has to look for old rows.
  const Leaving leaving = choose_leaving(table, keys, rows, in_use, n + more - most + most / 8);
  write_leaving(stream, table, leaving, keys, rows);
  const Buffer<RowId, B> stay =
      keep_rows(stream, table, Selection<B>{to_device(stream, leaving.kept), leaving.starts},
                device_keys.data(), device_rows.data());
  const std::vector<RowId> now = to_host(stream, stay);
  std::vector<HeldRow> left(now.size());
  for (std::size_t i = 0; i < now.size(); ++i) {
    left[now[i]] = held.rows[rows[leaving.kept[i]]];
  }
  held.rows = std::move(left);
}

/// Which keys of a call are in memory.
struct Presence {
  std::vector<RowId> rows;           ///< of each key, or kNoRow
  std::vector<std::uint8_t> in_use;  ///< [rows in memory] whether a key has the row
  std::int64_t missing = 0;          ///< keys without a row
  std::vector<Key> asked;            ///< those of them that the store was not asked for yet
};

template <Backend B>
Presence presence_of(Stream<B>& stream, const Table<B>& table, const std::vector<Key>& keys) {
  const StoredRows& held = *table.stored();
  Buffer<RowId, B> device_rows(stream, std::ssize(keys));
  table.find(stream, to_device(stream, keys).span(), device_rows.data());
  Presence found{to_host(stream, device_rows), std::vector<std::uint8_t>(held.rows.size()), 0, {}};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found.rows[i] != kNoRow) {
      found.in_use[found.rows[i]] = 1;
      continue;
    }
    ++found.missing;
    if (!held.absent.contains(keys[i])) {
      found.asked.push_back(keys[i]);
    }
  }
  return found;
}

/// Where each of the records lies that stand one after another.
inline std::vector<float*> places_of(float* records, std::int64_t count, std::int64_t size) {
  std::vector<float*> places;
  for (std::int64_t i = 0; i < count; ++i) {
    places.push_back(records + i * size);
  }
  return places;
}

/// Where the device can reach the records of keys: of a store in the memory of the host they are
/// used where they lie, of another one a copy in `copied`. Null for keys that the store lacks.
template <Backend B>
std::vector<float*> reach_records(Stream<B>& stream, const Table<B>& table,
                                  const std::vector<Key>& keys, Buffer<float, B>& copied) {
  StoredRows& held = *table.stored();
  if (keys.empty()) {
    return {};
  }
  if (held.host_store() != nullptr) {
    return held.host_store()->find(store_keys(table, keys));
  }
  const std::int64_t size = held.store().layout().size();
  std::vector<float> records(keys.size() * static_cast<std::size_t>(size));
  std::vector<std::uint8_t> found(keys.size());
  held.store().get(store_keys(table, keys), records.data(), found.data());
  copied = to_device(stream, records);
  std::vector<float*> places = places_of(copied.data(), std::ssize(keys), size);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    places[i] = found[i] != 0 ? places[i] : nullptr;
  }
  return places;
}

/// Makes rows of the records at `places`, and notes the keys that have none.
template <Backend B>
void take_found(Stream<B>& stream, Table<B>& table, const std::vector<Key>& asked,
                const std::vector<float*>& places) {
  StoredRows& held = *table.stored();
  std::vector<Key> loaded;
  std::vector<float*> from;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (places[i] == nullptr) {
      held.absent.insert(asked[i]);
      continue;
    }
    loaded.push_back(asked[i]);
    from.push_back(places[i]);
  }
  if (!loaded.empty()) {
    held.use(table.insert_records(stream, loaded, from));
    held.count_fetched(std::ssize(loaded));
  }
}

template <Backend B>
void stage_keys(Stream<B>& stream, Table<B>& table, const std::vector<Key>& keys, bool trains) {
  StoredRows& held = *table.stored();
  if (held.writes_through() && !held.trains) {
    drop_rows(table);  // of an inference before: another writer may have changed them
  }
  held.trains |= trains;
  const Presence present = presence_of(stream, table, keys);
  Buffer<float, B> copied;
  const std::vector<float*> places = reach_records(stream, table, present.asked, copied);
  held.count_found(present.rows);
  held.use(present.rows);
  make_room(stream, table, present.in_use, present.missing);
  take_found(stream, table, present.asked, places);
}

template <Backend B>
void stage_rows(Stream<B>& stream, Span<Table<B>* const> tables, const TableKeys& keys,
                bool trains) {
  for (std::int64_t t = 0; t < tables.size(); ++t) {
    const auto first = std::find(tables.begin(), tables.end(), tables[t]);
    if (tables[t]->stored() == nullptr || first != tables.begin() + t) {
      continue;
    }
    std::vector<Key> all;
    for (std::int64_t u = t; u < tables.size(); ++u) {
      if (tables[u] == tables[t]) {
        const std::vector<Key> own = to_host(
            stream,
            Span<const Key>(keys.keys + keys.starts[u], keys.starts[u + 1] - keys.starts[u]));
        all.insert(all.end(), own.begin(), own.end());
      }
    }
    make_distinct(all);
    stage_keys(stream, *tables[t], all, trains);
  }
}

template <Backend B>
void stage_gradients(Stream<B>& stream, Table<B>& table) {
  std::vector<Key> all;
  for (const RowGradients<B>& call : table.gradients()) {
    const std::vector<Key> keys = to_host(stream, Span<const Key>(call.keys, call.size));
    all.insert(all.end(), keys.begin(), keys.end());
  }
  make_distinct(all);
  stage_keys(stream, table, all, true);
}

template <Backend B>
void keep_changed(Table<B>& table, const std::vector<StoreKey>& keys,
                  const std::vector<RowId>& rows, const std::uint8_t* existed,
                  const float* before) {
  StoredRows& held = *table.stored();
  held.rows.resize(static_cast<std::size_t>(table.index().size()));
  for (const StoreKey& key : keys) {
    held.absent.erase(key.key);
  }
  if (!held.writes_through()) {
    for (const RowId row : rows) {
      held.rows[row].changed = true;
    }
    held.use(rows);
    return;
  }
  const std::vector<float> after = table.records(rows);
  if (existed != nullptr) {
    const ChangedRecords changed{keys, existed, before, after.data()};
    table.count_dropped(held.store().add(changed));
  } else {
    held.store().put(keys, after.data());
  }
}

}  // namespace keyshard
