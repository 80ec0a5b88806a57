// The bodies of the stages of rows.
#pragma once

#include <algorithm>
#include <utility>

#include "embedding/rows/dedup.hpp"
#include "embedding/rows/row_functors.hpp"
#include "embedding/rows/row_stages.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

// The functors of several tables: each gives a run of keys the functor of its table.

struct FindRows {
  static constexpr int kTeamWidth = FindRow<HashPartitioner>::kTeamWidth;

  const TableRef* tables;
  const Key* keys;
  RowId* rows;

  std::int64_t work() const { return 10; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t t, const Body& body) const {
    visit_variant(tables[t].partitioner, [&](const auto& partitioner) {
      body(FindRow<std::decay_t<decltype(partitioner)>>{tables[t].index, partitioner, keys, rows});
    });
  }
};

struct ReadRows {
  const TableRef* tables;
  const Key* keys;
  const RowId* rows;
  const std::int64_t* starts;
  const std::int64_t* bases;
  bool inference;
  float* out;

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t t, const Body& body) const {
    body(ReadRow{.table = tables + t,
                 .keys = keys,
                 .rows = rows,
                 .which = nullptr,
                 .first = starts[t],
                 .inference = inference,
                 .out = out + bases[t]});
  }
};

struct LocateRows {
  const TableRef* tables;
  const Key* keys;
  const RowId* rows;
  const std::int64_t* starts;
  const std::int64_t* bases;
  bool inference;
  float* spare;
  const float** places;

  std::int64_t work() const { return 4; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t t, const Body& body) const {
    body(LocateRow{.table = tables + t,
                   .keys = keys,
                   .rows = rows,
                   .first = starts[t],
                   .inference = inference,
                   .spare = spare + bases[t],
                   .places = places});
  }
};

/// Takes out the new keys of the tables, with their shards.
struct TakeNew {
  struct Row {
    const TakeNew* all;
    const TableRef* table;

    std::int64_t work() const { return 5; }

    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
      if (team.thread_rank() == 0) {
        const Key key = all->keys[all->which == nullptr ? i : all->which[i]];
        all->taken[i] = key;
        all->shards[i] = static_cast<std::uint16_t>(visit_variant(
            table->partitioner, [&](const auto& partitioner) { return partitioner.shard(key); }));
      }
    }
  };

  const TableRef* tables;
  const Key* keys;
  const std::uint32_t* which;  ///< null: the index itself
  Key* taken;
  std::uint16_t* shards;

  std::int64_t work() const { return 5; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t t, const Body& body) const {
    body(Row{this, tables + t});
  }
};

struct InitializeRows {
  const TableRef* tables;
  const Key* keys;
  const std::uint32_t* which;  ///< place of each key in `rows`; null: the index itself
  const std::int64_t* starts;
  const RowId* first_rows;  ///< of each table
  RowId* rows;

  std::int64_t work() const { return 50; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t t, const Body& body) const {
    body(InitializeRow{.table = tables + t,
                       .keys = keys,
                       .which = which,
                       .first = starts[t],
                       .first_row = first_rows[t],
                       .rows = rows});
  }
};

template <Backend B>
TableRefs<B>::TableRefs(Stream<B>& stream, Span<const Table<B>* const> tables) {
  for (const Table<B>* table : tables) {
    table->add_group_refs(groups_);
  }
  bring(stream, tables);
}

template <Backend B>
TableRefs<B>::TableRefs(Stream<B>& stream, Span<Table<B>* const> tables,
                        const UpdateContext& context) {
  for (Table<B>* table : tables) {
    const std::size_t first = groups_.size();
    table->add_group_refs(groups_);
    table->begin_step(context, groups_.data() + first);
  }
  bring(stream, tables);
}

template <Backend B>
void TableRefs<B>::bring(Stream<B>& stream, Span<const Table<B>* const> tables) {
  refs_.reserve(static_cast<std::size_t>(tables.size()));
  const GroupRef* groups = device_view<GroupRef>(stream, groups_, group_storage_);
  for (const Table<B>* table : tables) {
    refs_.push_back(table->ref(groups));
    groups += refs_.back().num_groups;
  }
  device_ = device_view<TableRef>(stream, refs_, ref_storage_);
}

template <Backend B>
void find_rows(Stream<B>& stream, const TableRefs<B>& tables, const TableKeys& keys, RowId* rows) {
  for_each_run(stream, keys.starts, FindRows{tables.data(), keys.keys, rows});
}

template <Backend B>
void read_rows(Stream<B>& stream, const TableRefs<B>& tables, const TableKeys& keys,
               const RowId* rows, bool inference, float* out) {
  const std::vector<std::int64_t> bases = value_bases(tables, keys.starts);
  Buffer<std::int64_t, B> starts_storage, bases_storage;
  for_each_run(stream, keys.starts,
               ReadRows{.tables = tables.data(),
                        .keys = keys.keys,
                        .rows = rows,
                        .starts = device_view(stream, keys.starts, starts_storage),
                        .bases = device_view<std::int64_t>(stream, bases, bases_storage),
                        .inference = inference,
                        .out = out});
}

template <Backend B>
Buffer<float, B> locate_rows(Stream<B>& stream, const TableRefs<B>& tables, const TableKeys& keys,
                             const RowId* rows, bool inference, const float** places) {
  const std::vector<std::int64_t> bases = value_bases(tables, keys.starts);
  Buffer<float, B> spare(stream, bases.back());
  Buffer<std::int64_t, B> starts_storage, bases_storage;
  for_each_run(stream, keys.starts,
               LocateRows{.tables = tables.data(),
                          .keys = keys.keys,
                          .rows = rows,
                          .starts = device_view(stream, keys.starts, starts_storage),
                          .bases = device_view<std::int64_t>(stream, bases, bases_storage),
                          .inference = inference,
                          .spare = spare.data(),
                          .places = places});
  return spare;
}

template <Backend B>
void insert_new(Stream<B>& stream, Span<Table<B>* const> tables, const TableKeys& keys,
                const std::uint32_t* which, RowId* rows) {
  const std::int64_t n = keys.starts[keys.starts.size() - 1];
  Buffer<Key, B> taken(stream, n);
  Buffer<std::uint16_t, B> shards(stream, n);
  const TableRefs<B> before(stream, tables);
  for_each_run(stream, keys.starts,
               TakeNew{before.data(), keys.keys, which, taken.data(), shards.data()});
  std::vector<NewKeys<B>> fresh;
  std::vector<RowId> first_rows;
  for (std::int64_t t = 0; t < tables.size(); ++t) {
    const std::int64_t begin = keys.starts[t], end = keys.starts[t + 1];
    first_rows.push_back(tables[t]->allocate(end - begin));
    fresh.push_back({&tables[t]->index(), begin, end, first_rows.back()});
  }
  insert_keys(stream, fresh, taken.data(), shards.data());
  const TableRefs<B> refs(stream, tables);  // with the new rows
  Buffer<std::int64_t, B> starts_storage;
  Buffer<RowId, B> rows_storage;
  for_each_run(stream, keys.starts,
               InitializeRows{.tables = refs.data(),
                              .keys = taken.data(),
                              .which = which,
                              .starts = device_view(stream, keys.starts, starts_storage),
                              .first_rows = device_view<RowId>(stream, first_rows, rows_storage),
                              .rows = rows});
}

template <Backend B>
void insert_missing(Stream<B>& stream, Span<Table<B>* const> tables, const TableKeys& keys,
                    RowId* rows) {
  const Selection<B> missing = select_runs(stream, keys.starts, IsMissing{rows});
  if (missing.size() > 0) {
    insert_new(stream, tables, {keys.keys, missing.starts}, missing.indices.data(), rows);
  }
}

}  // namespace keyshard
