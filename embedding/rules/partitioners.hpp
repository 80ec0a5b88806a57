// Which of the S = 1024 shards a key belongs to. Ranks own contiguous runs of shards. The hash is
// salted by the name of the table, so that the same id in many tables does not always have the same
// owner.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "embedding/rules/own_partitioner.hpp"
#include "runtime/hash.hpp"
#include "runtime/portable.hpp"
#include "runtime/visit.hpp"

namespace keyshard {

class Settings;

inline constexpr std::int64_t kShards = 1024;

/// The top 10 bits of a salted hash.
struct HashPartitioner {
  static constexpr const char* kName = "hash";
  std::uint64_t salt = 0;

  KEYSHARD_HD std::uint32_t shard(Key key) const {
    return static_cast<std::uint32_t>(mix64(key ^ salt) >> 54);
  }
};

/// The key as a signed number, modulo n > 0: in [0, n).
KEYSHARD_HD constexpr std::int64_t floor_mod(Key key, std::int64_t n) {
  const std::int64_t rest = static_cast<std::int64_t>(key) % n;
  return rest < 0 ? rest + n : rest;
}

/// The key as a signed number, modulo 1024.
struct ModuloPartitioner {
  static constexpr const char* kName = "modulo";

  KEYSHARD_HD std::uint32_t shard(Key key) const {
    return static_cast<std::uint32_t>(floor_mod(key, kShards));
  }
};

/// The table of the family (family.hpp). A partitioner with a salt takes it from the name of its
/// table.
template <class... Own>
using PartitionersAnd = std::variant<HashPartitioner, ModuloPartitioner, Own...>;
using BuiltInPartitioner = PartitionersAnd<>;
using Partitioner = PartitionersAnd<OwnPartitioner>;

/// The partitioner of that name for a table. Throws Error{invalid_argument} with the list of names
/// and the nearest name.
Partitioner partitioner_of(const std::string& name, const std::string& table);
const char* name_of(const Partitioner& partitioner);

/// What the options of a table say of its partitioner.
using PartitionerChoice = RuleChoice<OwnPartitioner>;

/// The choice of that name, which may be that of a registered partitioner. Throws as
/// partitioner_of.
PartitionerChoice partitioner_choice(const std::string& name, const OwnRules& own);

/// The partitioner that is chosen, for a table. Throws as partitioner_of.
inline Partitioner chosen_partitioner(const PartitionerChoice& choice, const std::string& table) {
  return choice.own ? Partitioner(*choice.own) : partitioner_of(choice.name, table);
}

/// Reads the name of a partitioner under `key`. A problem is recorded in `settings`.
PartitionerChoice read_partitioner(Settings& settings, const char* key,
                                   const PartitionerChoice& otherwise,
                                   const OwnRules& own = no_own_rules());

inline bool is_built_in(const Partitioner& partitioner) {
  return !std::holds_alternative<OwnPartitioner>(partitioner);
}

/// The shard of a key by a partitioner that is built in.
KEYSHARD_HD inline std::uint32_t built_in_shard(const Partitioner& partitioner, Key key) {
  return partitioner.index() == 0 ? std::get_if<0>(&partitioner)->shard(key)
                                  : std::get_if<1>(&partitioner)->shard(key);
}

inline std::uint32_t shard_of(const Partitioner& partitioner, Key key) {
  return visit_variant(partitioner, [&](const auto& rule) { return rule.shard(key); });
}

}  // namespace keyshard
