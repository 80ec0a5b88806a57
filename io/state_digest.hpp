// The name of a state of training: one digest over all rows with their optimizer state and all
// dense parts. The digest does not depend on ranks, slices, paths or the order in which rows were
// made; a state in memory and its checkpoint have the same digest.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runtime/digest.hpp"

namespace keyshard {

/// The digests of a table: one for each column of each shard, whose rows are sorted by key. The
/// first column is the keys.
struct TableDigests {
  std::string name;
  std::vector<std::string> columns;  ///< "keys", then as the table has them
  std::vector<Digest128> digests;    ///< [shards x columns]
};

/// Dense parts by name, in a fixed order.
using NamedDigests = std::vector<std::pair<std::string, Digest128>>;

/// Makes the digest of a state part by part: its tables, then its dense parts, then its step.
class StateDigest {
 public:
  void add(const TableDigests& table);
  /// A table whose digests are added one run of shards after another by `add_shards`.
  void begin_table(const std::string& name, const std::vector<std::string>& columns);
  void add_shards(Span<const Digest128> digests);
  void add(const NamedDigests& dense);

  Digest128 result(std::int64_t step);

 private:
  Digest digest_;
};

/// The digest of a state whose digests are all at hand.
Digest128 state_digest(const std::vector<TableDigests>& tables, const NamedDigests& dense,
                       std::int64_t step);

}  // namespace keyshard
