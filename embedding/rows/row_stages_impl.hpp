// The bodies of the stages of rows.
#pragma once

#include <algorithm>
#include <type_traits>
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
      using P = std::decay_t<decltype(partitioner)>;
      const FindRow<P> row{tables[t].index, partitioner, keys, rows};
      if constexpr (std::is_same_v<P, OwnPartitioner>) {
        call_outlined(body, row);
      } else {
        body(row);
      }
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
    if (is_short(tables[t].dtype)) {
      return body(WidenRow{.table = tables + t,
                           .keys = keys,
                           .rows = rows,
                           .first = starts[t],
                           .inference = inference,
                           .out = out + bases[t],
                           .places = nullptr});
    }
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
    if (is_short(tables[t].dtype)) {
      return body(WidenRow{.table = tables + t,
                           .keys = keys,
                           .rows = rows,
                           .first = starts[t],
                           .inference = inference,
                           .out = spare + bases[t],
                           .places = places});
    }
    body(LocateRow{.table = tables + t,
                   .keys = keys,
                   .rows = rows,
                   .first = starts[t],
                   .inference = inference,
                   .spare = spare + bases[t],
                   .places = places});
  }
};

/// Gives new keys their row ids, and takes them out with their shards.
struct TakeNew {
  const TableRef* tables;
  const Key* keys;
  const std::int64_t* starts;  ///< of the new keys of each table in `taken`
  const RowId* first_rows;     ///< the first new row of each table
  RowId* rows;
  Key* taken;
  std::uint16_t* shards;

  struct Row {
    const TakeNew* all;
    const TableRef* table;
    std::int64_t start;
    RowId first_row;

    /// Key i, if it has no row, comes after `before` new ones of its table. Returns whether it is
    /// new.
    KEYSHARD_HD bool operator()(std::int64_t i, std::int64_t before) const {
      if (all->rows[i] != kNoRow) {
        return false;
      }
      take(i, before);
      return true;
    }

    /// The same where all keys are new.
    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
      if (team.thread_rank() == 0) {
        take(i, i - start);
      }
    }

    KEYSHARD_HD void take(std::int64_t i, std::int64_t before) const {
      const Key key = all->keys[i];
      all->taken[start + before] = key;
      all->shards[start + before] = static_cast<std::uint16_t>(visit_variant(
          table->partitioner, [&](const auto& partitioner) { return partitioner.shard(key); }));
      all->rows[i] = first_row + static_cast<RowId>(before);
    }
  };

  std::int64_t work() const { return 5; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t t, const Body& body) const {
    body(Row{this, tables + t, starts[t], first_rows[t]});
  }
};

struct InitializeRows {
  const TableRef* tables;
  const Key* keys;
  const RowId* rows;
  const std::int64_t* starts;
  const WideValues* wide;  ///< of each table

  std::int64_t work() const { return 50; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t t, const Body& body) const {
    if (!works_as_float(tables[t].dtype)) {
      return body(InitializeOther{tables + t, keys, rows});
    }
    visit_variant(tables[t].groups[0].initializer, [&](const auto& initializer) {
      body(InitializeRow<std::decay_t<decltype(initializer)>>{.table = tables + t,
                                                              .initializer = initializer,
                                                              .keys = keys,
                                                              .rows = rows,
                                                              .first = starts[t],
                                                              .wide = wide[t]});
    });
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
  bring_constants(stream);
  refs_.reserve(static_cast<std::size_t>(tables.size()));
  const GroupRef* groups = device_view<GroupRef>(stream, groups_, group_storage_);
  for (const Table<B>* table : tables) {
    refs_.push_back(table->ref(groups));
    groups += refs_.back().num_groups;
  }
  device_ = device_view<TableRef>(stream, refs_, ref_storage_);
}

template <Backend B>
void TableRefs<B>::bring_constants(Stream<B>& stream) {
  for (const GroupRef& group : groups_) {
    if (const auto* rule = std::get_if<ConstantVector>(&group.initializer)) {
      constants_.insert(constants_.end(), rule->values, rule->values + group.dim);
    }
  }
  const double* values = device_view<double>(stream, constants_, constant_storage_);
  for (GroupRef& group : groups_) {
    if (std::holds_alternative<ConstantVector>(group.initializer)) {
      group.initializer = ConstantVector{values};
      values += group.dim;
    }
  }
}

/// Memory for the values of rows of 16-bit floats while they are worked on, for the keys
/// [starts[t], starts[t + 1]) of each table t.
template <Backend B>
struct WideRows {
  Buffer<float, B> values;
  std::vector<WideValues> tables;
  Buffer<WideValues, B> storage;

  WideRows(Stream<B>& stream, const TableRefs<B>& refs, Span<const std::int64_t> starts) {
    std::vector<std::int64_t> places;
    std::int64_t size = 0;
    for (std::int64_t t = 0; t < refs.size(); ++t) {
      places.push_back(size);
      size += refs.is_short(t) ? (starts[t + 1] - starts[t]) * refs.dim(t) : 0;
    }
    values = {stream, size};
    for (std::int64_t t = 0; t < refs.size(); ++t) {
      tables.push_back(
          {refs.is_short(t) ? values.data() + places[static_cast<std::size_t>(t)] : nullptr});
    }
  }

  const WideValues* on_device(Stream<B>& stream) {
    return device_view<WideValues>(stream, tables, storage);
  }
};

template <Backend B>
std::vector<std::int64_t> find_rows(Stream<B>& stream, const TableRefs<B>& tables,
                                    const TableKeys& keys, RowId* rows) {
  return sum_rows(stream, keys.starts, FindRows{tables.data(), keys.keys, rows});
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

/// Inserts so many new keys of each table; `launch` runs the functor that takes them out of `keys`.
template <Backend B, class Launch>
std::vector<RowId> insert_counted(Stream<B>& stream, Span<Table<B>* const> tables,
                                  const std::vector<std::int64_t>& counts, const TableKeys& keys,
                                  RowId* rows, const Launch& launch) {
  const std::vector<std::int64_t> starts = starts_of(counts);
  std::vector<RowId> first_rows;
  std::vector<NewKeys<B>> fresh;
  for (std::size_t t = 0; t < counts.size(); ++t) {
    Table<B>* table = tables[static_cast<std::int64_t>(t)];
    first_rows.push_back(table->allocate(counts[t]));
    fresh.push_back({&table->index(), starts[t], starts[t + 1], first_rows.back()});
  }
  if (starts.back() == 0) {
    return first_rows;
  }
  Buffer<Key, B> taken(stream, starts.back());
  Buffer<std::uint16_t, B> shards(stream, starts.back());
  const TableRefs<B> refs(stream, tables);
  Buffer<std::int64_t, B> starts_storage;
  Buffer<RowId, B> rows_storage;
  launch(TakeNew{.tables = refs.data(),
                 .keys = keys.keys,
                 .starts = device_view<std::int64_t>(stream, starts, starts_storage),
                 .first_rows = device_view<RowId>(stream, first_rows, rows_storage),
                 .rows = rows,
                 .taken = taken.data(),
                 .shards = shards.data()});
  insert_keys(stream, fresh, taken.data(), shards.data());
  return first_rows;
}

template <Backend B>
std::vector<RowId> insert_missing(Stream<B>& stream, Span<Table<B>* const> tables,
                                  const TableKeys& keys, RowId* rows) {
  const RunSums<B> missing = begin_sums(stream, keys.starts, IsMissing{rows});
  return insert_counted(stream, tables, missing.of_runs, keys, rows, [&](const TakeNew& take) {
    finish_sums(stream, keys.starts, missing, take);
  });
}

/// The same where no key has a row.
template <Backend B>
std::vector<RowId> insert_all(Stream<B>& stream, Span<Table<B>* const> tables,
                              const TableKeys& keys, RowId* rows) {
  std::vector<std::int64_t> counts;
  for (std::int64_t t = 0; t < tables.size(); ++t) {
    counts.push_back(keys.starts[t + 1] - keys.starts[t]);
  }
  return insert_counted(stream, tables, counts, keys, rows,
                        [&](const TakeNew& take) { for_each_run(stream, keys.starts, take); });
}

}  // namespace keyshard
