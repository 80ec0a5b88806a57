// Opens the store that a `kv_creator` describes.
#pragma once

#include <memory>
#include <string>

#include "embedding/stores/host_store.hpp"
#include "embedding/stores/kv_creator.hpp"
#include "embedding/stores/store.hpp"
#include "runtime/shard_owners.hpp"

namespace keyshard {

/// The rank that opens a store, and who owns the shards: the rank reads and writes the records of
/// its own.
struct StoreOwner {
  std::int64_t rank = 0;
  ShardOwners owners;

  Range shards() const { return owners.shards_of(rank); }
};

/// What to install, where this build lacks the library of a store; else empty.
std::string missing_library(const KvCreator& creator);

/// Opens the store, and makes it where there is none. Throws as Store does: where it cannot be
/// reached, and where it is not one of this layout. A store in the memory of the host takes it from
/// `memory`.
std::unique_ptr<Store> make_store(const SlowRows& rows, RecordLayout layout,
                                  const StoreOwner& owner,
                                  const HostMemory& memory = host_memory<Cpu>());

/// A text as one part of a path or of a key: letters, digits, "_", "-" and inner dots stay, all
/// other bytes become %XX. Different texts stay different.
std::string path_part(const std::string& text);

// One for each store; each stands in a source that a build without the library leaves out.
std::unique_ptr<Store> open_rocksdb(const RocksDbRows& rows, RecordLayout layout,
                                    const StoreOwner& owner);
std::unique_ptr<Store> open_redis(const RedisRows& rows, RecordLayout layout,
                                  const StoreOwner& owner);

/// Throws Error{corrupt_data} unless `found`, the header of a store at `place`, is that of the
/// layout.
void require_layout(const std::string& place, const RecordLayout& layout, const std::string& found);

/// Throws Error{corrupt_data}: there are records at `place`, but no header.
[[noreturn]] void refuse_foreign(const std::string& place);

/// Throws Error{corrupt_data} unless a record at `place` has the bytes of the layout.
void require_record(const std::string& place, const RecordLayout& layout, Key key,
                    std::size_t bytes);

}  // namespace keyshard
