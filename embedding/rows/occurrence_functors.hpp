// What the lanes of a device do to occurrences of keys that are to be made distinct: a hash table
// that holds the smallest occurrence of each key, and what follows from it.
#pragma once

#include <cstdint>

#include "embedding/rows/table_owners.hpp"
#include "embedding/rules/partitioners.hpp"
#include "runtime/atomic_word.hpp"
#include "runtime/for_each.hpp"
#include "runtime/hash.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// Occurrences with their tables, on the device.
struct OccurrencesRef {
  const Key* keys;
  const std::uint16_t* tables;  ///< null: all of table 0

  KEYSHARD_HD std::uint16_t table(std::int64_t i) const {
    return tables == nullptr ? std::uint16_t{0} : tables[i];
  }

  KEYSHARD_HD bool same(std::int64_t i, std::int64_t j) const {
    return keys[i] == keys[j] && table(i) == table(j);
  }
};

/// tables[i] = the table of the block of occurrence i.
struct WriteTableOfBlock {
  const std::int64_t* starts;  ///< [blocks + 1]
  std::int64_t blocks;
  std::int64_t num_tables;
  std::uint16_t* tables;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    tables[i] = static_cast<std::uint16_t>(run_at(starts, blocks, i) % num_tables);
  }
};

/// A hash table of occurrences: a slot holds the number of the smallest occurrence of a key, plus
/// one; 0 is free. Numbers are below 2^32 - 1.
struct SlotsRef {
  std::uint32_t* slots;  ///< [2^(64 - shift)]
  std::uint64_t mask;
  int shift;
};

/// Brings occurrence i into the table; slot_of[i] = the slot of its key. Which slot that is depends
/// on the order of the lanes; what the slot holds in the end does not.
struct InsertOccurrence {
  OccurrencesRef in;
  SlotsRef table;
  std::uint32_t* slot_of;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const auto mine = static_cast<std::uint32_t>(i + 1);
    const std::uint64_t hash = mix64(in.keys[i] + in.table(i) * 0x9E3779B97F4A7C15ull);
    for (std::uint64_t at = hash >> table.shift;; at = (at + 1) & table.mask) {
      const AtomicWord<std::uint32_t> slot(table.slots[at]);
      std::uint32_t held = slot.load();
      if (held == 0 && slot.compare_exchange(held, mine)) {
        held = mine;
      }
      if (in.same(held - 1, i)) {
        slot_of[i] = static_cast<std::uint32_t>(at);
        if (mine < held) {
          slot.make_at_most(mine);
        }
        return;
      }
    }
  }
};

/// Whether occurrence i is the smallest of its key.
struct IsRepresentative {
  const std::uint32_t* slots;
  const std::uint32_t* slot_of;

  KEYSHARD_HD bool operator()(std::int64_t i) const { return slots[slot_of[i]] == i + 1; }
};

/// The block owner * tables + table of representative u.
struct BlockOfKey {
  OccurrencesRef in;
  const std::uint32_t* representatives;
  const Partitioner* partitioners;
  std::int64_t num_tables;
  TableOwnersRef owners;

  KEYSHARD_HD std::int64_t operator()(std::int64_t u) const {
    const std::int64_t i = representatives[u];
    const std::int64_t table = in.table(i);
    const std::uint32_t shard = built_in_shard(partitioners[table], in.keys[i]);
    return owners.owner(table, shard) * num_tables + table;
  }
};

/// Distinct key u is representative order[u], or u where `order` is null; its slot then holds u.
struct NumberKey {
  OccurrencesRef in;
  const std::uint32_t* representatives;
  const std::uint32_t* order;
  const std::uint32_t* slot_of;
  std::uint32_t* slots;
  Key* keys;

  KEYSHARD_HD void operator()(std::int64_t u) const {
    const std::uint32_t i = representatives[order == nullptr ? u : std::int64_t{order[u]}];
    keys[u] = in.keys[i];
    slots[slot_of[i]] = static_cast<std::uint32_t>(u);
  }
};

/// inverse[i] = the distinct key of occurrence i; the same and i itself as a pair to be sorted.
struct InvertOccurrence {
  const std::uint32_t* slots;
  const std::uint32_t* slot_of;
  std::uint32_t* inverse;
  std::uint32_t* sorted;
  std::uint32_t* occurrences;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    inverse[i] = sorted[i] = slots[slot_of[i]];
    occurrences[i] = static_cast<std::uint32_t>(i);
  }
};

/// Writes where the occurrences of a key start, at the first of them. Every distinct key has one.
struct StartOfKey {
  const std::uint32_t* sorted;  ///< distinct keys of the occurrences in their order
  std::int64_t n;
  std::uint32_t* offsets;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    if (i == 0 || sorted[i] != sorted[i - 1]) {
      offsets[sorted[i]] = static_cast<std::uint32_t>(i);
    }
    if (i == n - 1) {
      offsets[sorted[i] + 1] = static_cast<std::uint32_t>(n);
    }
  }
};

}  // namespace keyshard
