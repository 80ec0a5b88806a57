// Which keys of a step get a row: all, or those that the admission of their table lets in. A key
// that is not admitted keeps reading as its initial value, and its gradient is dropped and counted.
#pragma once

#include <algorithm>
#include <vector>

#include "embedding/rows/row_stages.hpp"
#include "runtime/copy.hpp"
#include "runtime/primitives.hpp"
#include "runtime/random.hpp"

namespace keyshard {

/// What a functor needs to know of the admission of a table in a step.
struct AdmissionRef {
  bool by_count = false;   ///< the flags say who is admitted
  double probability = 1;  ///< of each key in each step
  std::uint64_t seed = 0;
  std::int64_t step = 0;
};

/// Holds back the keys of a step that have no row and get none: they have row 0 until ReleaseHeld.
struct HoldBack {
  const AdmissionRef* tables;
  const Key* keys;
  const std::uint8_t* admitted;  ///< of keys of tables that admit by count
  RowId* rows;
  std::uint8_t* held;

  struct Row {
    const HoldBack* all;
    AdmissionRef table;

    KEYSHARD_HD bool is_admitted(std::int64_t i) const {
      if (table.by_count) {
        return all->admitted[i] != 0;
      }
      const Random4 words =
          philox(table.seed, all->keys[i], static_cast<std::uint64_t>(table.step));
      return static_cast<double>(words.word[0] >> 8) * 0x1p-24 < table.probability;
    }

    /// Whether key i is held back.
    template <class Team>
    KEYSHARD_HD bool operator()(std::int64_t i, const Team& team) const {
      if (team.thread_rank() != 0) {
        return false;
      }
      const bool waits = all->rows[i] == kNoRow && !is_admitted(i);
      all->held[i] = waits ? 1 : 0;
      if (waits) {
        all->rows[i] = 0;
      }
      return waits;
    }
  };

  std::int64_t work() const { return 10; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t t, const Body& body) const {
    body(Row{this, tables[t]});
  }
};

/// A key that was held back has no row.
struct ReleaseHeld {
  const std::uint8_t* held;
  RowId* rows;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    if (held[i] != 0) {
      rows[i] = kNoRow;
    }
  }
};

/// flags[which[i]] = admitted[i].
struct SpreadFlags {
  const std::uint32_t* which;
  const std::uint8_t* admitted;
  std::uint8_t* flags;

  KEYSHARD_HD void operator()(std::int64_t i) const { flags[which[i]] = admitted[i]; }
};

/// Counts a sighting of each key of a table that has no row; flags[i] = 1 where it is admitted.
template <Backend B>
void sight_missing(Stream<B>& stream, Table<B>& table, Span<const Key> keys, const RowId* rows,
                   std::uint8_t* flags) {
  const Buffer<std::uint32_t, B> missing = select(stream, keys.size(), IsMissing{rows});
  Buffer<Key, B> taken(stream, missing.size());
  Buffer<std::uint8_t, B> admitted(stream, missing.size());
  for_each(stream, missing.size(), TakeKeys{missing.data(), keys.data(), taken.data()});
  table.sightings()->sight(stream, table.partitioner(), taken.span(), admitted.data());
  for_each(stream, missing.size(), SpreadFlags{missing.data(), admitted.data(), flags});
}

/// Holds back the keys that their tables do not admit in the step that begins next, and counts them
/// in their tables. Returns which keys are held back; empty where all tables admit every key.
template <Backend B>
Buffer<std::uint8_t, B> hold_back(Stream<B>& stream, Span<Table<B>* const> tables,
                                  const TableKeys& keys, RowId* rows) {
  if (std::none_of(tables.begin(), tables.end(),
                   [](const Table<B>* table) { return table->options().admits_some(); })) {
    return {};
  }
  const std::int64_t n = keys.starts[keys.starts.size() - 1];
  Buffer<std::uint8_t, B> admitted(stream, n), held(stream, n);
  std::vector<AdmissionRef> refs;
  for (std::int64_t t = 0; t < tables.size(); ++t) {
    const TableOptions& options = tables[t]->options();
    const std::int64_t begin = keys.starts[t], size = keys.starts[t + 1] - begin;
    refs.push_back({.by_count = tables[t]->sightings() != nullptr,
                    .probability = options.admit_probability,
                    .seed = hash_of(options.seed, 0xAD17),
                    .step = tables[t]->clocks().front().step() + 1});
    if (refs.back().by_count) {
      sight_missing(stream, *tables[t], Span<const Key>(keys.keys + begin, size), rows + begin,
                    admitted.data() + begin);
    }
  }
  Buffer<AdmissionRef, B> storage;
  const std::vector<std::int64_t> dropped =
      sum_rows(stream, keys.starts,
               HoldBack{.tables = device_view<AdmissionRef>(stream, refs, storage),
                        .keys = keys.keys,
                        .admitted = admitted.data(),
                        .rows = rows,
                        .held = held.data()});
  for (std::int64_t t = 0; t < tables.size(); ++t) {
    tables[t]->count_dropped(dropped[static_cast<std::size_t>(t)]);
  }
  return held;
}

/// insert_missing of the keys that their tables admit in the step that begins next.
template <Backend B>
std::vector<RowId> insert_admitted(Stream<B>& stream, Span<Table<B>* const> tables,
                                   const TableKeys& keys, RowId* rows) {
  const Buffer<std::uint8_t, B> held = hold_back(stream, tables, keys, rows);
  std::vector<RowId> first_new = insert_missing(stream, tables, keys, rows);
  for_each(stream, held.size(), ReleaseHeld{held.data(), rows});
  return first_new;
}

}  // namespace keyshard
