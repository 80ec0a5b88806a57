// One connection to a Redis server: commands are queued and sent together, answers come in their
// order. Every failure names the server and never a password. After a failure of the connection the
// next command connects anew.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <hiredis/hiredis.h>

#include "embedding/stores/kv_creator.hpp"

namespace keyshard {

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};

using RedisReply = std::unique_ptr<redisReply, FreeReply>;

struct FreeContext {
  void operator()(redisContext* context) const { redisFree(context); }
};

class RedisConnection {
 public:
  /// Connects nowhere yet.
  explicit RedisConnection(const RedisRows& server) : server_(server) {}

  /// "redis HOST:PORT/DB", or with the path of the socket.
  std::string place() const;

  /// Connects, authenticates and chooses the database, where there is no connection. Returns
  /// whether it has connected now. Throws Error{communication}.
  bool connect();

  /// Queues a command of binary texts. Connected.
  void queue(const std::vector<std::string_view>& command);

  /// Sends what is queued and returns the next answer that is due. Throws Error{communication}
  /// where the connection fails, or the answer is an error of the server; the connection is closed
  /// then, and what was queued is forgotten.
  RedisReply next();

  RedisReply command(const std::vector<std::string_view>& command) {
    queue(command);
    return next();
  }

 private:
  void authenticate();

  [[noreturn]] void close_and_fail(const std::string& text);

  RedisRows server_;
  std::unique_ptr<redisContext, FreeContext> context_;
  std::vector<const char*> texts_;  // of the command that is queued
  std::vector<std::size_t> sizes_;
};

}  // namespace keyshard
