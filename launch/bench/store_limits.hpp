// What the media of stores do without a store around them: reads of many keys by the client
// libraries alone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "embedding/stores/kv_creator.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

/// Reads values of fixed size that were written when it was made.
class MediumReader {
 public:
  virtual ~MediumReader() = default;

  /// Reads the values of the keys and drops them.
  virtual void read(Span<const Key> keys) = 0;
};

/// RocksDB's MultiGet on a database of its own in `folder`, with keys [0, keys) of `bytes` each.
std::unique_ptr<MediumReader> rocksdb_reader(const std::string& folder, std::int64_t keys,
                                             std::int64_t bytes);

/// Pipelined MGETs of `kKeysOfMget` keys, as redis-benchmark makes them, of plain keys in the
/// server.
std::unique_ptr<MediumReader> redis_reader(const RedisRows& server, std::int64_t keys,
                                           std::int64_t bytes);

inline constexpr std::int64_t kKeysOfMget = 100;

}  // namespace keyshard
