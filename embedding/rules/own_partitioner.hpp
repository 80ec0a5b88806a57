// A partitioner of a program: a struct with `std::int64_t shard(Key key) const`, the shard of a key
// in [0, 1024), a pure function of the key. own_partitioner (own_rules.hpp) makes it from the
// struct.
#pragma once

#include <cstdint>

#include "embedding/rules/own_rule.hpp"

namespace keyshard {

/// What a program's struct is compiled to.
struct PartitionerFunctions {
  const char* name;
  /// Throws Error{invalid_argument} naming partitioner, key and shard where the shard is none.
  std::uint32_t (*shard)(const void* rule, Key key);
};

struct OwnPartitioner : OwnRule<PartitionerFunctions> {
  static constexpr bool kHostOnly = true;

  KEYSHARD_HD std::uint32_t shard(Key key) const { return functions->shard(rule(), key); }
};

}  // namespace keyshard
