// The places where rows of a test may live, by name, with a Redis server where there is one.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <gtest/gtest.h>

#include "embedding/stores/make_store.hpp"
#include "tests/support/map_store.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {

/// A fixture with the parameter "host", "rocksdb", "redis", "own", "tiered_rocksdb",
/// "tiered_redis", "tiered_own" or "tiered_host".
class StorePlaces : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam().find("redis") != std::string::npos && !RedisServer::exists()) {
      GTEST_SKIP() << "no redis-server";
    }
    const std::string missing = missing_library(creator());
    if (!missing.empty()) {
      GTEST_SKIP() << missing;
    }
  }

  /// Rows of a place of its own for every `part`. Ranks may ask at once.
  KvCreator creator(const std::string& part = "rows") {
    const std::lock_guard lock(mutex_);
    RocksDbRows disk{folder_.path(part)};
    if (GetParam() == "host") {
      return HostRows{};
    }
    if (GetParam() == "rocksdb") {
      return disk;
    }
    if (GetParam() == "tiered_host") {
      return TieredRows{kLeastFastBytes, HostRows{}};
    }
    if (GetParam() == "tiered_rocksdb") {
      return TieredRows{kLeastFastBytes, disk};
    }
    if (GetParam() == "own" || GetParam() == "tiered_own") {
      const OwnStoreRows& own = own_.try_emplace(part, map_rows("map")).first->second;
      return is_tiered() ? KvCreator(TieredRows{kLeastFastBytes, own}) : KvCreator(own);
    }
    if (server_ == nullptr) {
      server_ = std::make_unique<RedisServer>();
    }
    RedisRows rows = server_->rows();
    rows.prefix = part;
    if (GetParam() == "redis") {
      return rows;
    }
    return TieredRows{kLeastFastBytes, rows};
  }

  bool is_tiered() const { return GetParam().starts_with("tiered"); }

  ScratchFolder folder_;
  std::mutex mutex_;  // guards what is below it
  std::unique_ptr<RedisServer> server_;
  std::map<std::string, OwnStoreRows> own_;
};

}  // namespace keyshard::testing
