#include "launch/bench/store_limits.hpp"

#ifdef KEYSHARD_ROCKSDB
#include "embedding/stores/rocksdb_database.hpp"
#endif
#ifdef KEYSHARD_REDIS
#include "embedding/stores/redis_connection.hpp"
#endif

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "runtime/error.hpp"

namespace keyshard {

#ifdef KEYSHARD_ROCKSDB
namespace {

std::string_view text_of(const Key& key) {
  return {reinterpret_cast<const char*>(&key), sizeof(Key)};
}

class RocksDbReader final : public MediumReader {
 public:
  RocksDbReader(const std::string& folder, std::int64_t keys, std::int64_t bytes)
      : database_(folder) {
    const std::string value(static_cast<std::size_t>(bytes), 'x');
    RocksDbChanges changes;
    for (std::int64_t i = 0; i < keys; ++i) {
      const auto key = static_cast<Key>(i);
      changes.put(text_of(key), value);
    }
    database_.write(changes);
  }

  void read(Span<const Key> keys) override {
    std::vector<std::string_view> texts;
    for (const Key& key : keys) {
      texts.push_back(text_of(key));
    }
    std::int64_t found = 0;
    database_.get(texts, [&](std::size_t, std::string_view) { ++found; });
    require(found == keys.size(), Kind::io, "{}: expected all {} keys: found {}", database_.place(),
            keys.size(), found);
  }

 private:
  RocksDbDatabase database_;
};

}  // namespace

std::unique_ptr<MediumReader> rocksdb_reader(const std::string& folder, std::int64_t keys,
                                             std::int64_t bytes) {
  return std::make_unique<RocksDbReader>(folder, keys, bytes);
}
#else
std::unique_ptr<MediumReader> rocksdb_reader(const std::string&, std::int64_t, std::int64_t) {
  fail(Kind::not_built, "rocksdb is not built");
}
#endif

#ifdef KEYSHARD_REDIS
namespace {

class RedisReader final : public MediumReader {
 public:
  RedisReader(const RedisRows& server, std::int64_t keys, std::int64_t bytes)
      : connection_(server), keys_(keys), prefix_(server.prefix + ":plain:") {
    connection_.connect();
    const std::string value(static_cast<std::size_t>(bytes), 'x');
    for (std::int64_t first = 0; first < keys; first += kKeysOfMget) {
      const std::vector<std::string> names = names_of(first, std::min(keys, first + kKeysOfMget));
      std::vector<std::string_view> command{"MSET"};
      for (const std::string& name : names) {
        command.push_back(name);
        command.push_back(value);
      }
      connection_.command(command);
    }
  }

  ~RedisReader() override {
    try {
      for (std::int64_t first = 0; first < keys_; first += kKeysOfMget) {
        const std::vector<std::string> names =
            names_of(first, std::min(keys_, first + kKeysOfMget));
        std::vector<std::string_view> command{"UNLINK"};
        command.insert(command.end(), names.begin(), names.end());
        connection_.command(command);
      }
    } catch (const Error&) {
      return;  // the server is gone, and its keys with it
    }
  }

  void read(Span<const Key> keys) override {
    std::int64_t commands = 0;
    for (std::int64_t first = 0; first < keys.size(); first += kKeysOfMget, ++commands) {
      std::vector<std::string> names;
      for (std::int64_t i = first; i < std::min(keys.size(), first + kKeysOfMget); ++i) {
        names.push_back(prefix_ + std::to_string(keys[i]));
      }
      std::vector<std::string_view> command{"MGET"};
      command.insert(command.end(), names.begin(), names.end());
      connection_.queue(command);
    }
    for (; commands > 0; --commands) {
      connection_.next();
    }
  }

 private:
  std::vector<std::string> names_of(std::int64_t begin, std::int64_t end) const {
    std::vector<std::string> names;
    for (std::int64_t i = begin; i < end; ++i) {
      names.push_back(prefix_ + std::to_string(i));
    }
    return names;
  }

  RedisConnection connection_;
  std::int64_t keys_;
  std::string prefix_;
};

}  // namespace

std::unique_ptr<MediumReader> redis_reader(const RedisRows& server, std::int64_t keys,
                                           std::int64_t bytes) {
  return std::make_unique<RedisReader>(server, keys, bytes);
}
#else
std::unique_ptr<MediumReader> redis_reader(const RedisRows&, std::int64_t, std::int64_t) {
  fail(Kind::not_built, "redis is not built");
}
#endif

}  // namespace keyshard
