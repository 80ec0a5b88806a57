// A Redis server of one test, on a Unix socket in a folder of its own; the destructor stops it.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "embedding/stores/kv_creator.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {

class RedisServer {
 public:
  /// Whether this machine has a redis-server.
  static bool exists();

  /// Starts one with further options of its command line, and waits until it answers.
  explicit RedisServer(std::vector<std::string> options = {});
  ~RedisServer();

  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  /// Ends the server at once, as a crash does.
  void kill();
  /// Starts it again; what it held is lost.
  void start();

  /// How to reach it.
  RedisRows rows() const;

 private:
  ScratchFolder folder_;
  std::vector<std::string> options_;
  pid_t process_ = -1;
};

}  // namespace keyshard::testing
