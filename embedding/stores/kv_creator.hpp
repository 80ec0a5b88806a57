// Where the rows of a table live: the option `kv_creator`. A family of stores with their fields, as
// code, JSON and TOML give them; store.hpp says what a store does. No secret is a field: the
// password of a Redis server comes from an environment variable, whose name is the option.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "embedding/rules/own_rule.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

/// The memory of the rank that owns the row: of the host, or of its device where the table is on
/// one.
struct HostRows {
  static constexpr const char* kName = "host";

  bool operator==(const HostRows&) const = default;
};

/// The memory of the device of the rank that owns the row, for a table on a device.
struct DeviceRows {
  static constexpr const char* kName = "device";

  bool operator==(const DeviceRows&) const = default;
};

/// A RocksDB of each table and rank, below a folder on local disk.
struct RocksDbRows {
  static constexpr const char* kName = "rocksdb";
  std::string path;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("path", self.path);
  }

  bool operator==(const RocksDbRows&) const = default;
};

/// A Redis server that jobs share.
struct RedisRows {
  static constexpr const char* kName = "redis";
  std::string host = "127.0.0.1";  ///< or the path of a Unix socket, which begins with "/"
  std::int64_t port = 6379;        ///< of no use with a Unix socket
  std::int64_t db = 0;
  std::string user;                 ///< empty: the default user
  std::string password_env;         ///< environment variable with the password; empty: none
  std::string prefix = "keyshard";  ///< of the names of all keys in the server
  std::int64_t timeout_ms = 1000;   ///< for a connection, and for each answer

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("host", self.host);
    field("port", self.port, 1, 65535);
    field("db", self.db, 0, 1 << 20);
    field("user", self.user);
    field("password_env", self.password_env);
    field("prefix", self.prefix);
    field("timeout_ms", self.timeout_ms, 1, 3'600'000);
  }

  bool operator==(const RedisRows&) const = default;
};

struct OwnStore;

/// A store of the program (own_store.hpp).
struct OwnStoreRows {
  std::shared_ptr<const OwnStore> store;

  /// The name under which it is registered; empty: it is not.
  const char* name() const;

  bool operator==(const OwnStoreRows&) const = default;
};

/// What may be behind the memory of `tiered`. HostRows: memory of the host, which a CUDA device
/// reads and writes where it lies (pinned).
using SlowRows = std::variant<RocksDbRows, RedisRows, HostRows, OwnStoreRows>;

/// Memory for so many bytes of a table on each rank, in front of a slower store that holds the
/// rest.
struct TieredRows {
  static constexpr const char* kName = "tiered";
  std::int64_t fast_bytes = 0;
  SlowRows slow;

  bool operator==(const TieredRows&) const = default;
};

/// The table of the family (rules/family.hpp).
using KvCreator =
    std::variant<HostRows, DeviceRows, RocksDbRows, RedisRows, TieredRows, OwnStoreRows>;

/// Whether all rows live in memory, without a store.
inline bool in_memory(const KvCreator& creator) {
  return std::holds_alternative<HostRows>(creator) || std::holds_alternative<DeviceRows>(creator);
}

/// The store of the program that a kv_creator is, or that is behind its memory; null: none.
const OwnStoreRows* own_store_rows(const KvCreator& creator);

const char* name_of(const KvCreator& creator);

/// The least `fast_bytes`.
inline constexpr std::int64_t kLeastFastBytes = 1 << 20;

/// Reads a table {type = NAME, fields ...} of a configuration, whose name may be that of a store
/// that `own` registers. Problems are recorded in `settings`; where there is one, the result is of
/// no use.
KvCreator read_kv_creator(Settings settings, const OwnRules& own = no_own_rules());

/// The table that a configuration would hold.
SettingValue kv_creator_tree(const KvCreator& creator);

/// Throws Error{invalid_argument} naming `owner`, the field, what is allowed and what was found,
/// and Error{not_built} for a store whose library this build lacks.
void check(const KvCreator& creator, const std::string& owner);

}  // namespace keyshard
