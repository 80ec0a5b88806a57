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
#include "embedding/stores/redis_connection.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// For keys of one hash, KEYS[1]: the four cases of an update by increment. ARGV: floats of a
/// record, rule of the status (0 none, 1 higher, 2 add), kind of the floats of 16 bits (0 none, 1
/// float16, 2 bfloat16) and their number, then field, record before ("" for none) and record after
/// of each. Sums are rounded where a processor rounds them: `narrow` and `widen` are those of
/// short_floats.hpp. Returns how many were dropped.
constexpr const char* kAddScript = R"(
local floats, rule, dropped = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
local kind, shorts = tonumber(ARGV[3]), tonumber(ARGV[4])
local function single(x) return (struct.unpack('<f', struct.pack('<f', x))) end
local function widen(record, at)
  if kind == 2 then return (struct.unpack('<f', '\0\0' .. record:sub(at, at + 1))) end
  local half = struct.unpack('<I2', record, at)
  local sign = half >= 32768 and -1 or 1
  local e, f = math.floor(half / 1024) % 32, half % 1024
  if e == 0 then return sign * math.ldexp(f, -24) end
  if e == 31 then return f == 0 and sign * math.huge or 0 / 0 end
  return sign * math.ldexp(1024 + f, e - 25)
end
local function to_even(x)
  local n = math.floor(x)
  local rest = x - n
  return (rest > 0.5 or (rest == 0.5 and n % 2 == 1)) and n + 1 or n
end
local function narrow(x)
  local bits = struct.unpack('<I4', struct.pack('<f', x))
  local upper = math.floor(bits / 65536)
  if kind == 2 then
    if x ~= x then
      return struct.pack('<I2', math.floor(upper / 64) % 2 == 1 and upper or upper + 64)
    end
    return struct.pack('<I2', math.floor((bits + 32767 + upper % 2) / 65536))
  end
  local sign, size, half = bits >= 2147483648 and 32768 or 0, math.abs(x), 31744
  if x ~= x then
    local f = math.floor(bits / 8192) % 1024
    half = 31744 + (f < 512 and f + 512 or f)
  elseif size < 2 ^ -14 then
    half = to_even(size * 2 ^ 24)
  elseif size < 65520 then
    local m, e = math.frexp(size)
    half = (e + 14) * 1024 + to_even((2 * m - 1) * 1024)
  end
  return struct.pack('<I2', sign + half)
end
for i = 5, #ARGV, 3 do
  local field, before, after = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local now = redis.call('HGET', KEYS[1], field)
  if before == '' then
    if now then dropped = dropped + 1 else redis.call('HSET', KEYS[1], field, after) end
  elseif not now then
    dropped = dropped + 1
  elseif now == before then
    redis.call('HSET', KEYS[1], field, after)
  else
    local out, first = {}, math.ceil(shorts / 2)
    for s = 0, shorts - 1 do
      local at = 2 * s + 1
      local delta = single(widen(after, at) - widen(before, at))
      out[#out + 1] = narrow(single(widen(now, at) + delta))
    end
    out[#out + 1] = now:sub(2 * shorts + 1, 4 * first)
    for f = first, floats - 1 do
      local at = 4 * f + 1
      local delta = single(struct.unpack('<f', after, at) - struct.unpack('<f', before, at))
      out[#out + 1] = struct.pack('<f', struct.unpack('<f', now, at) + delta)
    end
    if rule > 0 then
      local at = 4 * floats + 1
      local a, b = struct.unpack('<I4', after, at), struct.unpack('<I4', before, at)
      local n = struct.unpack('<I4', now, at)
      local to = math.max(n, a)
      if rule == 2 then to = math.min(n + math.max(a - b, 0), 4294967295) end
      out[#out + 1] = struct.pack('<I4', to)
    end
    redis.call('HSET', KEYS[1], field, table.concat(out))
  end
end
return dropped)";

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
    const std::string floats = std::to_string(layout().floats);
    const std::string rule = std::to_string(static_cast<int>(layout().status));
    const std::string kind = std::to_string(static_cast<int>(layout().shorts));
    const std::string shorts = std::to_string(layout().num_shorts);
    return transaction(order, [&](const ShardPart& part) {
      std::vector<std::string_view> command{"EVAL", kAddScript, "1",  part.hash,
                                            floats, rule,       kind, shorts};
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
