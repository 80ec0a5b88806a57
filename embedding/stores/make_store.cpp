#include "embedding/stores/make_store.hpp"

#include <type_traits>

#include "embedding/stores/own_store.hpp"
#include "runtime/error.hpp"
#include "runtime/visit.hpp"

namespace keyshard {
namespace {

#ifdef KEYSHARD_ROCKSDB
constexpr const char* kRocksDbMissing = "";
#else
constexpr const char* kRocksDbMissing = "install librocksdb-dev and build again";
#endif
#ifdef KEYSHARD_REDIS
constexpr const char* kRedisMissing = "";
#else
constexpr const char* kRedisMissing = "install libhiredis-dev and build again";
#endif

std::string missing_of(const HostRows&) { return ""; }

std::string missing_of(const DeviceRows&) { return ""; }

std::string missing_of(const OwnStoreRows&) { return ""; }

std::string missing_of(const RocksDbRows&) { return kRocksDbMissing; }

std::string missing_of(const RedisRows&) { return kRedisMissing; }

std::string missing_of(const TieredRows& rows) {
  return visit_variant(rows.slow, [](const auto& slow) { return missing_of(slow); });
}

}  // namespace

#ifndef KEYSHARD_ROCKSDB
std::unique_ptr<Store> open_rocksdb(const RocksDbRows&, RecordLayout, const StoreOwner&) {
  fail(Kind::not_built, "kv_creator rocksdb is not built: {}", kRocksDbMissing);
}
#endif
#ifndef KEYSHARD_REDIS
std::unique_ptr<Store> open_redis(const RedisRows&, RecordLayout, const StoreOwner&) {
  fail(Kind::not_built, "kv_creator redis is not built: {}", kRedisMissing);
}
#endif

std::string missing_library(const KvCreator& creator) {
  return visit_variant(creator, [](const auto& rows) { return missing_of(rows); });
}

std::unique_ptr<Store> make_store(const SlowRows& rows, RecordLayout layout,
                                  const StoreOwner& owner, const HostMemory& memory) {
  return visit_variant(rows, [&](const auto& slow) -> std::unique_ptr<Store> {
    using Rows = std::decay_t<decltype(slow)>;
    if constexpr (std::is_same_v<Rows, OwnStoreRows>) {
      std::unique_ptr<Store> store = slow.store->open(layout, owner);
      require(store != nullptr, Kind::invalid_argument,
              "table {}: expected a store of the program, {}: found none: its function returned "
              "null",
              layout.table, name_of(KvCreator(slow)));
      return store;
    } else if constexpr (std::is_same_v<Rows, HostRows>) {
      return std::make_unique<HostStore>(std::move(layout), memory);
    } else if constexpr (std::is_same_v<Rows, RocksDbRows>) {
      return open_rocksdb(slow, std::move(layout), owner);
    } else {
      return open_redis(slow, std::move(layout), owner);
    }
  });
}

std::string path_part(const std::string& text) {
  std::string part;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-' || (c == '.' && !part.empty());
    part += plain ? std::string(1, c)
                  : fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return part;
}

void require_layout(const std::string& place, const RecordLayout& layout,
                    const std::string& found) {
  require(found == layout.text, Kind::corrupt_data,
          "{}: expected a store of this table: {}: found one of {}; give the table another place, "
          "or remove the old store",
          place, layout.text, found);
}

void refuse_foreign(const std::string& place) {
  fail(Kind::corrupt_data,
       "{}: expected a store of a table: found records without the header of one; give the table "
       "another place",
       place);
}

void require_record(const std::string& place, const RecordLayout& layout, Key key,
                    std::size_t bytes) {
  require(bytes == layout.bytes(), Kind::corrupt_data,
          "{}: expected {} bytes of key {}: found {}; the store is damaged", place, layout.bytes(),
          static_cast<std::int64_t>(key), bytes);
}

}  // namespace keyshard
