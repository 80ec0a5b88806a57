// Rows in a Redis server. A shard is one hash, PREFIX:TABLE:SHARD, whose fields are keys (8 bytes,
// big-endian) and whose values are records; PREFIX:TABLE:layout is the header. So any number of
// ranks and jobs share a table, a shard is counted and removed by one command, and no key of the
// server becomes large. What is written is one transaction (MULTI, EXEC); by increment, the server
// itself compares and adds in a Lua script.
#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <numeric>

#include "embedding/rules/partitioners.hpp"
#include "embedding/stores/make_store.hpp"
#include "embedding/stores/redis_add_script.hpp"
#include "embedding/stores/redis_connection.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// Arguments of one command, of at most so many keys: a server does one command at a time.
constexpr std::int64_t kKeysOfCommand = 4096;

using FieldName = std::array<char, 8>;

FieldName field_of(Key key) {
  FieldName field;
  for (std::size_t i = 0; i < field.size(); ++i) {
    field[i] = static_cast<char>(key >> (8 * (7 - i)));
  }
  return field;
}

Key key_of_field(const redisReply& field) {
  Key key = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    key = key << 8 | static_cast<unsigned char>(field.str[i]);
  }
  return key;
}

/// Keys [begin, end) of an order are of one shard, and go in one command.
struct ShardPart {
  std::string_view hash;
  std::int64_t begin;
  std::int64_t end;
};

/// Keys by shard, as commands need them.
struct ShardOrder {
  std::vector<std::int64_t> order;  ///< places among the keys
  std::vector<FieldName> fields;    ///< [i] of key order[i]
  std::vector<ShardPart> parts;

  std::string_view field(std::int64_t i) const {
    return {fields[static_cast<std::size_t>(i)].data(), 8};
  }

  std::int64_t place(std::int64_t i) const { return order[static_cast<std::size_t>(i)]; }
};

class RedisStore final : public Store {
 public:
  RedisStore(const RedisRows& rows, RecordLayout layout, const StoreOwner& owner)
      : Store(std::move(layout)),
        connection_(rows),
        names_(rows.prefix + ":" + path_part(this->layout().table)),
        shards_(owner.shards()) {
    for (std::int64_t shard = 0; shard < kShards; ++shard) {
      hashes_.push_back(fmt::format("{}:{}", names_, shard));
    }
    connection_.connect();
    const std::string header = names_ + ":layout";
    const RedisReply made = connection_.command({"SETNX", header, this->layout().text});
    if (made->integer == 1 && rows_of(shards_) > 0) {
      connection_.command({"DEL", header});
      refuse_foreign(place());
    }
    check_header();
  }

  std::string place() const override { return connection_.place() + " " + names_; }

  void get(Span<const StoreKey> keys, float* records, std::uint8_t* found) override {
    connect();
    const ShardOrder order = by_shard(keys);
    for (const ShardPart& part : order.parts) {
      std::vector<std::string_view> command{"HMGET", part.hash};
      for (std::int64_t i = part.begin; i < part.end; ++i) {
        command.push_back(order.field(i));
      }
      connection_.queue(command);
    }
    for (const ShardPart& part : order.parts) {
      const RedisReply reply = connection_.next();
      require_elements(*reply, part.end - part.begin);
      for (std::int64_t i = part.begin; i < part.end; ++i) {
        const redisReply& value = *reply->element[i - part.begin];
        const std::int64_t at = order.place(i);
        found[at] = value.type == REDIS_REPLY_STRING ? 1 : 0;
        if (found[at] != 0) {
          require_record(place(), layout(), keys[at].key, value.len);
          std::memcpy(records + at * layout().size(), value.str, value.len);
        }
      }
    }
  }

  void put(Span<const StoreKey> keys, const float* records) override {
    const ShardOrder order = by_shard(keys);
    transaction(order, [&](const ShardPart& part) {
      std::vector<std::string_view> command{"HSET", part.hash};
      for (std::int64_t i = part.begin; i < part.end; ++i) {
        command.push_back(order.field(i));
        command.push_back(record_at(records, order.place(i)));
      }
      connection_.queue(command);
    });
  }

  void erase(Span<const StoreKey> keys) override {
    const ShardOrder order = by_shard(keys);
    transaction(order, [&](const ShardPart& part) {
      std::vector<std::string_view> command{"HDEL", part.hash};
      for (std::int64_t i = part.begin; i < part.end; ++i) {
        command.push_back(order.field(i));
      }
      connection_.queue(command);
    });
  }

  std::int64_t add(const ChangedRecords& changed) override {
    const ShardOrder order = by_shard(changed.keys);
    const std::vector<std::string> numbers = numbers_of_layout();
    return transaction(order, [&](const ShardPart& part) {
      std::vector<std::string_view> command{"EVAL", kRedisAddScript, "1", part.hash};
      command.insert(command.end(), numbers.begin(), numbers.end());
      for (std::int64_t i = part.begin; i < part.end; ++i) {
        const std::int64_t at = order.place(i);
        command.push_back(order.field(i));
        command.push_back(changed.existed[at] != 0 ? record_at(changed.before, at)
                                                   : std::string_view());
        command.push_back(record_at(changed.after, at));
      }
      connection_.queue(command);
    });
  }

  std::int64_t count(Range shards) override {
    connect();
    return rows_of(shards);
  }

  void scan(std::int64_t shard,
            const std::function<void(Key key, const float* record)>& visit) override {
    connect();
    const RedisReply reply = connection_.command({"HGETALL", hash_of_shard(shard)});
    std::map<Key, const redisReply*> rows;
    for (std::size_t i = 0; i + 1 < reply->elements; i += 2) {
      const redisReply& field = *reply->element[i];
      require(field.len == 8, Kind::corrupt_data,
              "{}: expected keys of 8 bytes: found one of {}; the store is damaged", place(),
              field.len);
      rows.emplace(key_of_field(field), reply->element[i + 1]);
    }
    std::vector<float> record(static_cast<std::size_t>(layout().size()));
    for (const auto& [key, value] : rows) {
      require_record(place(), layout(), key, value->len);
      std::memcpy(record.data(), value->str, value->len);
      visit(key, record.data());
    }
  }

  void clear(Range shards) override {
    connect();
    connection_.queue({"MULTI"});
    for (std::int64_t shard = shards.begin; shard < shards.end; ++shard) {
      connection_.queue({"UNLINK", hash_of_shard(shard)});
    }
    finish_transaction(shards.size());
  }

 private:
  /// The arguments of the script that say what a record is.
  std::vector<std::string> numbers_of_layout() const {
    std::vector<std::string> numbers{
        std::to_string(layout().floats), std::to_string(static_cast<int>(layout().status)),
        std::to_string(static_cast<int>(layout().values)), std::to_string(layout().num_values),
        std::to_string(layout().limits.size())};
    for (const RecordLimit& limit : layout().limits) {
      numbers.push_back(std::to_string(limit.offset));
      numbers.push_back(std::to_string(limit.dim));
      numbers.push_back(fmt::format("{}", limit.max_norm));
    }
    return numbers;
  }

  std::string_view hash_of_shard(std::int64_t shard) const {
    return hashes_[static_cast<std::size_t>(shard)];
  }

  std::string_view record_at(const float* records, std::int64_t i) const {
    return {reinterpret_cast<const char*>(records + i * layout().size()), layout().bytes()};
  }

  /// A server that was started anew may have lost its rows: then it has lost the header too.
  void connect() {
    if (connection_.connect()) {
      check_header();
    }
  }

  void check_header() {
    const RedisReply found = connection_.command({"GET", names_ + ":layout"});
    require_layout(place(), layout(),
                   found->type == REDIS_REPLY_STRING ? std::string(found->str, found->len)
                                                     : "nothing: the server has lost its rows");
  }

  std::int64_t rows_of(Range shards) {
    for (std::int64_t shard = shards.begin; shard < shards.end; ++shard) {
      connection_.queue({"HLEN", hash_of_shard(shard)});
    }
    std::int64_t rows = 0;
    for (std::int64_t shard = shards.begin; shard < shards.end; ++shard) {
      rows += connection_.next()->integer;
    }
    return rows;
  }

  ShardOrder by_shard(Span<const StoreKey> keys) const {
    ShardOrder result;
    std::vector<std::int64_t> places(static_cast<std::size_t>(kShards) + 1);
    for (const StoreKey& key : keys) {
      ++places[key.shard + 1];
    }
    std::partial_sum(places.begin(), places.end(), places.begin());
    result.order.resize(static_cast<std::size_t>(keys.size()));
    for (std::int64_t i = 0; i < keys.size(); ++i) {
      result.order[static_cast<std::size_t>(places[keys[i].shard]++)] = i;
    }
    result.fields.reserve(result.order.size());
    for (std::int64_t i = 0; i < keys.size(); ++i) {
      const StoreKey& key = keys[result.place(i)];
      result.fields.push_back(field_of(key.key));
      if (i == 0 || keys[result.place(i - 1)].shard != key.shard ||
          i - result.parts.back().begin == kKeysOfCommand) {
        result.parts.push_back({hash_of_shard(key.shard), i, i});
      }
      result.parts.back().end = i + 1;
    }
    return result;
  }

  void require_elements(const redisReply& reply, std::int64_t expected) const {
    require(
        reply.type == REDIS_REPLY_ARRAY && static_cast<std::int64_t>(reply.elements) == expected,
        Kind::communication, "{}: expected {} answers: found {}", place(), expected,
        reply.elements);
  }

  /// Queues a command for each part, and runs all or none of them. Returns the sum of what they
  /// return.
  template <class Queue>
  std::int64_t transaction(const ShardOrder& order, const Queue& queue) {
    if (order.parts.empty()) {
      return 0;
    }
    connect();
    connection_.queue({"MULTI"});
    for (const ShardPart& part : order.parts) {
      queue(part);
    }
    return finish_transaction(std::ssize(order.parts));
  }

  std::int64_t finish_transaction(std::int64_t commands) {
    connection_.queue({"EXEC"});
    for (std::int64_t i = 0; i < commands + 1; ++i) {
      connection_.next();  // MULTI, and each command that was queued
    }
    const RedisReply reply = connection_.next();
    require_elements(*reply, commands);
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < commands; ++i) {
      const redisReply& result = *reply->element[i];
      require(result.type != REDIS_REPLY_ERROR, Kind::communication,
              "{}: expected the server to write rows: found {}; it may have written some of the "
              "rows of this call",
              place(), result.type == REDIS_REPLY_ERROR ? result.str : "");
      sum += result.integer;
    }
    return sum;
  }

  RedisConnection connection_;
  std::string names_;
  std::vector<std::string> hashes_;  // of each shard
  Range shards_;
};

}  // namespace

std::unique_ptr<Store> open_redis(const RedisRows& rows, RecordLayout layout,
                                  const StoreOwner& owner) {
  return std::make_unique<RedisStore>(rows, std::move(layout), owner);
}

}  // namespace keyshard
