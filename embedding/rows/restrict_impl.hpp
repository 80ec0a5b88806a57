// The bodies of a restriction. Rows stand in the order of their statuses, highest first, and of
// equal statuses in the order of their keys, lowest first. The last row that stays is found bit by
// bit, with one count over all ranks a bit.
#pragma once

#include <algorithm>
#include <bit>
#include <vector>

#include "collectives/vote.hpp"
#include "embedding/rows/restrict.hpp"
#include "embedding/rows/row_stages.hpp"
#include "embedding/rows/staging.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

/// The rows of this rank, shard after shard.
struct RowStatuses {
  const Key* keys;
  const std::uint32_t* statuses;
};

struct TakeStatus {
  const TableRef* table;
  const RowId* rows;
  std::uint32_t* statuses;

  KEYSHARD_HD void operator()(std::int64_t i) const { statuses[i] = table->status.at(rows[i]); }
};

/// Whether a row has at least this status.
struct HasStatus {
  RowStatuses in;
  std::uint32_t least;

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const {
    return in.statuses[i] >= least ? 1 : 0;
  }
};

/// Whether a row has this status and a key below `end`.
struct HasKeyBelow {
  RowStatuses in;
  std::uint32_t status;
  Key end;

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const {
    return in.statuses[i] == status && in.keys[i] < end ? 1 : 0;
  }
};

/// Whether a row stays: it stands no later than the last row that does.
struct Stays {
  RowStatuses in;
  std::uint32_t status;
  Key key;

  KEYSHARD_HD bool operator()(std::int64_t i) const {
    return in.statuses[i] > status || (in.statuses[i] == status && in.keys[i] <= key);
  }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t /*shard*/, const Body& body) const {
    body(*this);
  }
};

/// The `kept`-th of the rows of all ranks in their order, kept >= 1.
template <Backend B>
Stays last_kept(Stream<B>& stream, Communicator<B>& communicator, const RowStatuses& in,
                std::int64_t n, std::int64_t kept) {
  const auto count = [&](const auto& term) {
    std::int64_t found = sum(stream, n, term);
    communicator.all_reduce(Span<std::int64_t>(&found, 1), Reduction::sum);
    return found;
  };
  Stays last{in, 0, 0};
  for (int bit = 31; bit >= 0; --bit) {
    const std::uint32_t higher = last.status | (1u << bit);
    last.status = count(HasStatus{in, higher}) >= kept ? higher : last.status;
  }
  const std::int64_t above = last.status == UINT32_MAX ? 0 : count(HasStatus{in, last.status + 1});
  for (int bit = 63; bit >= 0; --bit) {
    const Key higher = last.key | (Key{1} << bit);
    last.key = count(HasKeyBelow{in, last.status, higher}) < kept - above ? higher : last.key;
  }
  return last;
}

/// used[row] = 0.
struct ClearUsed {
  std::uint8_t* used;

  KEYSHARD_HD void operator()(std::int64_t row) const { used[row] = 0; }
};

/// Takes the keys and rows that stay, and marks which of the first rows are in use.
struct TakeKept {
  const std::uint32_t* kept;
  const Key* keys;
  const RowId* rows;
  std::int64_t count;  ///< of what stays
  Key* kept_keys;
  RowId* kept_rows;
  std::uint8_t* used;  ///< [count], 0 before

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const RowId row = rows[kept[i]];
    kept_keys[i] = keys[kept[i]];
    kept_rows[i] = row;
    if (std::int64_t{row} < count) {
      used[row] = 1;
    }
  }
};

/// Whether a row of the first ones is a hole.
struct IsHole {
  const std::uint8_t* used;

  KEYSHARD_HD bool operator()(std::int64_t row) const { return used[row] == 0; }
};

/// Whether a row that stays lies behind the first ones.
struct LiesBehind {
  const RowId* rows;
  std::int64_t count;

  KEYSHARD_HD bool operator()(std::int64_t i) const { return std::int64_t{rows[i]} >= count; }
};

/// Moves a row that lies behind the first ones into a hole among them.
struct MoveRow {
  TableRef table;
  const std::uint32_t* moving;  ///< numbers of rows that stay
  const std::uint32_t* holes;
  RowId* rows;  ///< of all that stay

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t m, const Team& team) const {
    const RowId to = holes[m], from = rows[moving[m]];
    const float* source = table.store.row(from);
    float* target = table.store.row(to);
    for (std::int64_t d = team.thread_rank(); d < table.store.stride; d += team.num_threads()) {
      target[d] = source[d];
    }
    team.sync();
    if (team.thread_rank() == 0) {
      table.status.move(from, to);
      rows[moving[m]] = to;
    }
  }
};

/// Notes the keys of the listed ones that do not stay, where the table follows changes. Rows that
/// leave the memory in front of a store are not removed.
template <Backend B>
void note_removed(Stream<B>& stream, Table<B>& table, const Selection<B>& kept, const Key* keys) {
  if (!table.follows_changes() || table.stored() != nullptr) {
    return;
  }
  const std::vector<Key> all = to_host(stream, Span<const Key>(keys, table.size()));
  const std::vector<std::uint32_t> stay = to_host(stream, kept.indices);
  std::size_t next = 0, place = 0;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    for (std::int64_t i = 0; i < table.shard_size(shard); ++i, ++place) {
      if (next < stay.size() && stay[next] == place) {
        ++next;
      } else {
        table.note_removed(shard, all[place]);
      }
    }
  }
}

/// Leaves the rows `kept` of the listed ones, of which those of shard s are starts[s] .. starts[s +
/// 1], and closes the holes. Returns where they lie now.
template <Backend B>
Buffer<RowId, B> keep_rows(Stream<B>& stream, Table<B>& table, const Selection<B>& kept,
                           const Key* keys, const RowId* rows) {
  const std::int64_t n = kept.size();
  note_removed(stream, table, kept, keys);
  Buffer<Key, B> kept_keys(stream, n);
  Buffer<RowId, B> kept_rows(stream, n);
  Buffer<std::uint8_t, B> used(stream, n);
  for_each(stream, n, ClearUsed{used.data()});
  for_each(stream, n,
           TakeKept{.kept = kept.indices.data(),
                    .keys = keys,
                    .rows = rows,
                    .count = n,
                    .kept_keys = kept_keys.data(),
                    .kept_rows = kept_rows.data(),
                    .used = used.data()});
  const Buffer<std::uint32_t, B> holes = select(stream, n, IsHole{used.data()});
  const Buffer<std::uint32_t, B> moving = select(stream, n, LiesBehind{kept_rows.data(), n});
  for_each_row(stream, moving.size(),
               MoveRow{table.ref(nullptr), moving.data(), holes.data(), kept_rows.data()});
  replace_keys(stream, table.index(), kept.starts, kept_keys.data(), kept_rows.data());
  stream.wait();  // the memory of the rows behind goes
  table.truncate(n);
  return kept_rows;
}

/// The rows of a table with a store, shard after shard, on the host.
struct RecordStatuses {
  std::vector<Key> keys;
  std::vector<std::uint32_t> statuses;
  std::vector<StoreKey> places;
};

template <Backend B>
RecordStatuses record_statuses(Table<B>& table) {
  RecordStatuses all;
  Store& store = table.stored()->store();
  const std::int64_t status = store.layout().floats;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    store.scan(shard, [&](Key key, const float* record) {
      all.keys.push_back(key);
      all.statuses.push_back(std::bit_cast<std::uint32_t>(record[status]));
      all.places.push_back({key, static_cast<std::uint32_t>(shard)});
    });
  }
  return all;
}

/// restrict_rows where the rows lie in a store: all are written there first.
template <Backend B>
Restriction restrict_stored(Stream<B>& stream, Communicator<B>& communicator, Table<B>& table,
                            std::int64_t num_reserved, std::int64_t trigger) {
  RecordStatuses all;
  vote(host_of(communicator), [&] {
    write_down(stream, table);
    all = record_statuses(table);
  });
  const std::int64_t n = std::ssize(all.keys);
  Restriction result{n, 0};
  communicator.all_reduce(Span<std::int64_t>(&result.before, 1), Reduction::sum);
  if (result.before <= trigger || result.before <= num_reserved) {
    return result;
  }
  const Buffer<Key, B> keys = to_device(stream, all.keys);
  const Buffer<std::uint32_t, B> statuses = to_device(stream, all.statuses);
  std::vector<StoreKey> leaving = all.places;
  if (num_reserved > 0) {
    const Stays last =
        last_kept(stream, communicator, {keys.data(), statuses.data()}, n, num_reserved);
    const Stays stays{{all.keys.data(), all.statuses.data()}, last.status, last.key};
    leaving.clear();
    for (std::int64_t i = 0; i < n; ++i) {
      if (!stays(i)) {
        leaving.push_back(all.places[static_cast<std::size_t>(i)]);
      }
    }
  }
  vote(host_of(communicator), [&] { table.stored()->store().erase(leaving); });
  for (std::size_t i = 0; table.follows_changes() && i < leaving.size(); ++i) {
    table.note_removed(leaving[i].shard, leaving[i].key);
  }
  result.removed = result.before - num_reserved;
  table.count_removed(result.removed);
  return result;
}

/// Where the listed keys of each shard start.
template <Backend B>
std::vector<std::int64_t> shard_starts(const Table<B>& table) {
  std::vector<std::int64_t> starts{0};
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    starts.push_back(starts.back() + table.shard_size(shard));
  }
  return starts;
}

template <Backend B>
Restriction restrict_rows(Stream<B>& stream, Communicator<B>& communicator, Table<B>& table,
                          std::int64_t num_reserved, std::int64_t trigger) {
  require(has_status(table.options().restrict_policy), Kind::invalid_argument,
          "table {}: expected a restrict_policy, which says what rows stay: found \"none\"",
          table.options().name);
  require(num_reserved >= 0 && trigger >= 0, Kind::invalid_argument,
          "table {}: expected num_reserved >= 0 and trigger >= 0: found {} and {}",
          table.options().name, num_reserved, trigger);
  if (table.stored() != nullptr) {
    return restrict_stored(stream, communicator, table, num_reserved, trigger);
  }
  const std::int64_t n = table.size();
  Restriction result{n, 0};
  communicator.all_reduce(Span<std::int64_t>(&result.before, 1), Reduction::sum);
  if (result.before <= trigger || result.before <= num_reserved) {
    return result;
  }
  result.removed = result.before - num_reserved;
  table.count_removed(result.removed);
  Buffer<Key, B> keys(stream, n);
  Buffer<RowId, B> rows(stream, n);
  Buffer<std::uint32_t, B> statuses(stream, n);
  list_keys(stream, table.index(), keys.data(), rows.data());
  const Table<B>* const self[] = {&table};
  const TableRefs<B> refs(stream, self);
  for_each(stream, n, TakeStatus{refs.data(), rows.data(), statuses.data()});
  const RowStatuses own{keys.data(), statuses.data()};
  const std::vector<std::int64_t> starts = shard_starts(table);
  if (num_reserved == 0) {
    keep_rows(stream, table, Selection<B>{{}, std::vector<std::int64_t>(starts.size())},
              keys.data(), rows.data());
    return result;
  }
  const Stays stays = last_kept(stream, communicator, own, n, num_reserved);
  keep_rows(stream, table, select_runs(stream, Span<const std::int64_t>(starts), stays),
            keys.data(), rows.data());
  return result;
}

}  // namespace keyshard
