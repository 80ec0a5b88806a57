// What each store does with records: reads and writes, the four cases of an update by increment,
// two writers, headers, and failures. Where a store or its server is not at hand, its tests are
// skipped.
#include "embedding/stores/store.hpp"

#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "embedding/rules/partitioners.hpp"
#include "embedding/stores/make_store.hpp"
#include "runtime/error.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/scratch_folder.hpp"
#include "tests/support/small_disk.hpp"

namespace keyshard::testing {
namespace {

using Records = std::map<Key, std::vector<float>>;

RecordLayout layout_of(std::int64_t floats, StatusMerge status = StatusMerge::none) {
  return {"items", "the layout", floats, status};
}

float bits(std::uint32_t number) { return std::bit_cast<float>(number); }

/// The keys, each in the shard of its number.
std::vector<StoreKey> keys_of(const std::vector<Key>& keys) {
  std::vector<StoreKey> result;
  for (const Key key : keys) {
    result.push_back({key, static_cast<std::uint32_t>(key % kShards)});
  }
  return result;
}

std::vector<float> joined(const Records& records) {
  std::vector<float> floats;
  for (const auto& [key, record] : records) {
    floats.insert(floats.end(), record.begin(), record.end());
  }
  return floats;
}

std::vector<StoreKey> record_keys(const Records& records) {
  std::vector<Key> keys;
  for (const auto& [key, record] : records) {
    keys.push_back(key);
  }
  return keys_of(keys);
}

void put(Store& store, const Records& records) {
  store.put(record_keys(records), joined(records).data());
}

/// All records, by scans of all shards.
Records content_of(Store& store) {
  Records all;
  for (std::int64_t shard = 0; shard < kShards; ++shard) {
    store.scan(shard, [&](Key key, const float* record) {
      all[key] = std::vector<float>(record, record + store.layout().size());
    });
  }
  return all;
}

template <class Body>
std::string message_of(Kind kind, const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.text();
    return error.text();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

/// A place of a store of the kind that the parameter names.
class Stores : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "rocksdb") {
      rows_ = RocksDbRows{folder_.path("rows")};
    } else {
      if (!RedisServer::exists()) {
        GTEST_SKIP() << "no redis-server";
      }
      server_ = std::make_unique<RedisServer>();
      rows_ = server_->rows();
    }
    const std::string missing =
        missing_library(GetParam() == "rocksdb" ? KvCreator(std::get<RocksDbRows>(rows_))
                                                : KvCreator(std::get<RedisRows>(rows_)));
    if (!missing.empty()) {
      GTEST_SKIP() << missing;
    }
  }

  std::unique_ptr<Store> open(const RecordLayout& layout, std::int64_t rank = 0,
                              std::int64_t ranks = 1) const {
    return make_store(rows_, layout, {rank, ShardOwners(ranks, kShards)});
  }

  ScratchFolder folder_;
  std::unique_ptr<RedisServer> server_;
  SlowRows rows_;
};

INSTANTIATE_TEST_SUITE_P(Each, Stores, ::testing::Values("rocksdb", "redis"),
                         [](const auto& which) { return which.param; });

TEST_P(Stores, GiveBackWhatWasPutAndSayWhatIsAbsent) {
  const auto store = open(layout_of(2));
  const Key last = ~Key{0};
  put(*store, {{0, {1, 2}}, {1, {3, 4}}, {1 + kShards, {5, 6}}, {last, {7, 8}}});
  put(*store, {{1, {9, 10}}});

  std::vector<float> records(8);
  std::vector<std::uint8_t> found(4);
  store->get(keys_of({last, 2, 1, 0}), records.data(), found.data());

  EXPECT_EQ(found, (std::vector<std::uint8_t>{1, 0, 1, 1}));
  EXPECT_EQ(std::vector<float>(records.begin(), records.begin() + 2), (std::vector<float>{7, 8}));
  EXPECT_EQ(std::vector<float>(records.begin() + 4, records.end()),
            (std::vector<float>{9, 10, 1, 2}));
  EXPECT_EQ(store->count({0, kShards}), 4);
  EXPECT_EQ(store->count({1, 2}), 2);
}

TEST_P(Stores, ScanAShardByAscendingKey) {
  const auto store = open(layout_of(1));
  const Key high = Key{1} << 63;
  put(*store, {{7 + 2 * kShards, {2}}, {7, {0}}, {8, {9}}, {7 + high, {3}}, {7 + kShards, {1}}});

  std::vector<Key> keys;
  std::vector<float> values;
  store->scan(7, [&](Key key, const float* record) {
    keys.push_back(key);
    values.push_back(*record);
  });

  EXPECT_EQ(keys, (std::vector<Key>{7, 7 + kShards, 7 + 2 * kShards, 7 + high}));
  EXPECT_EQ(values, (std::vector<float>{0, 1, 2, 3}));
}

TEST_P(Stores, EraseKeysAndClearShards) {
  const auto store = open(layout_of(1));
  put(*store, {{1, {1}}, {2, {2}}, {3, {3}}, {600, {4}}});

  store->erase(keys_of({2, 99}));
  EXPECT_EQ(content_of(*store), (Records{{1, {1}}, {3, {3}}, {600, {4}}}));
  store->clear({0, 512});
  EXPECT_EQ(content_of(*store), (Records{{600, {4}}}));
}

/// The numbers of TFRA's own test: {0:0, 1:1, 2:2, 3:3} is read, 100 comes as 99 and 1 goes, and
/// the writer that has read makes {0:10, 1:11, 100:100, 3:13} of it.
TEST_P(Stores, AddInTheFourCasesOfAnUpdateByIncrement) {
  const auto store = open(layout_of(1));
  put(*store, {{0, {0}}, {1, {1}}, {2, {2}}, {3, {3}}});
  put(*store, {{100, {99}}, {3, {5}}});
  store->erase(keys_of({1}));

  const std::vector<std::uint8_t> existed{1, 1, 0, 1};
  const std::vector<float> before{0, 1, 2, 3}, after{10, 11, 100, 13};
  const std::vector<StoreKey> keys = keys_of({0, 1, 100, 3});
  EXPECT_EQ(store->add({keys, existed.data(), before.data(), after.data()}), 2);

  // Key 3 was 3, became 5 meanwhile, and gets 10 more.
  EXPECT_EQ(content_of(*store), (Records{{0, {10}}, {2, {2}}, {3, {15}}, {100, {99}}}));
}

TEST_P(Stores, AddANewKeyAndARecordThatIsAsItWasReadBitForBit) {
  const auto store = open(layout_of(1));
  // In floats 1e8 + (3 - 1e8) is 0.
  put(*store, {{1, {1e8f}}});
  const std::vector<std::uint8_t> existed{1, 0};
  const std::vector<float> before{1e8f, 0}, after{3, 4};
  EXPECT_EQ(store->add({keys_of({1, 2}), existed.data(), before.data(), after.data()}), 0);

  EXPECT_EQ(content_of(*store), (Records{{1, {3}}, {2, {4}}}));
}

TEST_P(Stores, RoundSumsAsAProcessorDoes) {
  const auto store = open(layout_of(1));
  put(*store, {{1, {0.1f}}});
  const std::vector<std::uint8_t> existed{1};
  const float before = 0.3f, after = 0.7f;
  store->add({keys_of({1}), existed.data(), &before, &after});

  const volatile float delta = after - before;
  const volatile float sum = 0.1f + delta;
  EXPECT_EQ(content_of(*store).at(1).front(), sum);
}

TEST_P(Stores, MergeStatusesOfTimesAndOfCounts) {
  const std::vector<std::uint8_t> existed{1};
  const std::pair<StatusMerge, std::uint32_t> cases[] = {{StatusMerge::higher, 12},
                                                         {StatusMerge::add, 14}};
  for (const auto& [rule, expected] : cases) {
    RecordLayout layout = layout_of(1, rule);
    layout.table = rule == StatusMerge::add ? "counts" : "times";
    const auto store = open(layout);
    put(*store, {{1, {0, bits(12)}}});  // another writer has made 12 of 8
    const float before[] = {0, bits(8)}, after[] = {1, bits(10)};
    store->add({keys_of({1}), existed.data(), before, after});
    EXPECT_EQ(std::bit_cast<std::uint32_t>(content_of(*store).at(1)[1]), expected);
  }
}

TEST_P(Stores, RefuseTheRecordsOfAnotherLayoutByName) {
  { put(*open(layout_of(1)), {{1, {1}}}); }
  RecordLayout other = layout_of(1);
  other.text = "another layout";

  const std::string message = message_of(Kind::corrupt_data, [&] { open(other); });

  EXPECT_NE(message.find(GetParam()), std::string::npos) << message;
  EXPECT_NE(message.find("expected a store of this table: another layout: found one of the layout"),
            std::string::npos)
      << message;
}

TEST_P(Stores, RefuseARecordOfOtherBytes) {
  { put(*open(layout_of(1)), {{1, {1}}}); }
  const auto store = open(layout_of(2));  // the same header, as damage would leave it
  std::vector<float> record(2);
  std::uint8_t found = 0;

  const std::string message =
      message_of(Kind::corrupt_data, [&] { store->get(keys_of({1}), record.data(), &found); });

  EXPECT_NE(message.find("expected 8 bytes of key 1: found 4; the store is damaged"),
            std::string::npos)
      << message;
}

using RocksDb = Stores;
using Redis = Stores;
INSTANTIATE_TEST_SUITE_P(Disk, RocksDb, ::testing::Values("rocksdb"));
INSTANTIATE_TEST_SUITE_P(Server, Redis, ::testing::Values("redis"));

TEST_P(RocksDb, KeepsRecordsWhereAProcessEnds) {
  { put(*open(layout_of(1)), {{1, {1}}}); }
  EXPECT_EQ(content_of(*open(layout_of(1))), (Records{{1, {1}}}));
}

TEST_P(RocksDb, SaysThatAnotherNumberOfRanksHasLeftRows) {
  { put(*open(layout_of(1), 0, 1), {{1, {1}}}); }
  const auto store = open(layout_of(1), 0, 2);
  const std::string message = message_of(Kind::invalid_argument, [&] { store->count({0, 512}); });
  EXPECT_NE(message.find("rows of 2 ranks: found"), std::string::npos) << message;
  EXPECT_NE(message.find("rank-0-of-1"), std::string::npos) << message;

  store->clear({0, 512});  // as a resume from a checkpoint does

  EXPECT_EQ(store->count({0, 512}), 0);
  EXPECT_FALSE(std::filesystem::exists(folder_.path("rows/items/rank-0-of-1")));
}

TEST_P(RocksDb, LeavesACopyOfADatabaseAlone) {
  { put(*open(layout_of(1), 0, 1), {{1, {1}}}); }
  const std::string rows = folder_.path("rows/items/");
  for (const char* copy : {"rank-0-of-1-copy", "rank-0-of-1.old", "rank-00-of-1"}) {
    std::filesystem::copy(rows + "rank-0-of-1", rows + copy);
  }
  std::filesystem::remove_all(rows + "rank-0-of-1");
  const auto store = open(layout_of(1), 0, 2);
  EXPECT_EQ(store->count({0, 512}), 0);
  store->clear({0, 512});
  for (const char* copy : {"rank-0-of-1-copy", "rank-0-of-1.old", "rank-00-of-1"}) {
    EXPECT_TRUE(std::filesystem::exists(rows + copy)) << copy;
  }
}

TEST_P(RocksDb, NamesAFolderThatCannotBeMade) {
  rows_ = RocksDbRows{"/proc/rows"};
  EXPECT_NE(message_of(Kind::io, [&] { open(layout_of(1)); }).find("/proc/rows"),
            std::string::npos);
}

TEST_P(RocksDb, NamesAForeignDatabaseAndADamagedOne) {
  { put(*open(layout_of(1)), {{1, {1}}}); }
  const std::string database = folder_.path("rows/items/rank-0-of-1");
  std::ofstream(database + "/CURRENT") << "nonsense";
  const std::string message = message_of(Kind::corrupt_data, [&] { open(layout_of(1)); });
  EXPECT_NE(message.find(database), std::string::npos) << message;
}

TEST_P(RocksDb, NamesAFullDisk) {
  const SmallDisk disk(folder_.path("small"), 1 << 20);
  if (!disk.mounted()) {
    GTEST_SKIP() << "only root may mount a small disk";
  }
  rows_ = RocksDbRows{folder_.path("small/rows")};
  const auto store = open(layout_of(1024));
  const std::string message = message_of(Kind::io, [&] {
    for (Key key = 0; key < 1024; ++key) {
      put(*store, {{key, std::vector<float>(1024, 1.0f)}});
    }
  });
  EXPECT_NE(message.find("rocksdb " + folder_.path("small/rows")), std::string::npos) << message;
}

TEST_P(Redis, ShowsEachWriterWhatTheOtherHasWritten) {
  const auto one = open(layout_of(1)), other = open(layout_of(1));
  put(*one, {{1, {1}}});
  EXPECT_EQ(content_of(*other), (Records{{1, {1}}}));

  // Both have read 1; one adds 2, the other 4.
  const std::vector<std::uint8_t> existed{1};
  const float read = 1, three = 3, five = 5;
  one->add({keys_of({1}), existed.data(), &read, &three});
  other->add({keys_of({1}), existed.data(), &read, &five});
  EXPECT_EQ(content_of(*one), (Records{{1, {7}}}));
}

TEST_P(Redis, NamesAServerThatIsNotThereAndOneThatHasLostItsRows) {
  const auto store = open(layout_of(1));
  put(*store, {{1, {1}}});
  server_->kill();
  const std::string gone = message_of(Kind::communication, [&] { content_of(*store); });
  EXPECT_NE(gone.find("redis " + std::get<RedisRows>(rows_).host), std::string::npos) << gone;
  message_of(Kind::communication, [&] { open(layout_of(1)); });

  server_->start();
  const std::string lost = message_of(Kind::corrupt_data, [&] { content_of(*store); });
  EXPECT_NE(lost.find("the server has lost its rows"), std::string::npos) << lost;
}

TEST_P(Redis, RefusesRecordsWithoutAHeader) {
  { put(*open(layout_of(1)), {{1, {1}}}); }
  RedisRows rows = std::get<RedisRows>(rows_);
  const std::string command =
      "redis-cli -s " + rows.host + " del keyshard:items:layout > /dev/null";
  if (std::system(command.c_str()) != 0) {
    GTEST_SKIP() << "no redis-cli";
  }
  EXPECT_NE(message_of(Kind::corrupt_data, [&] { open(layout_of(1)); }).find("without the header"),
            std::string::npos);
}

TEST_P(Redis, TakesItsPasswordFromTheEnvironmentAndNeverShowsIt) {
  const RedisServer locked({"--requirepass", "open-sesame"});
  RedisRows rows = locked.rows();
  rows.password_env = "KEYSHARD_TEST_PASSWORD";
  rows_ = rows;
  ::unsetenv("KEYSHARD_TEST_PASSWORD");
  EXPECT_NE(message_of(Kind::communication, [&] { open(layout_of(1)); })
                .find("expected a password in the environment variable KEYSHARD_TEST_PASSWORD"),
            std::string::npos);

  ::setenv("KEYSHARD_TEST_PASSWORD", "wrong-word", 1);
  const std::string wrong = message_of(Kind::communication, [&] { open(layout_of(1)); });
  EXPECT_NE(wrong.find("found WRONGPASS"), std::string::npos) << wrong;
  EXPECT_EQ(wrong.find("wrong-word"), std::string::npos) << wrong;

  ::setenv("KEYSHARD_TEST_PASSWORD", "open-sesame", 1);
  const auto store = open(layout_of(1));
  put(*store, {{1, {1}}});
  EXPECT_EQ(content_of(*store), (Records{{1, {1}}}));
  ::unsetenv("KEYSHARD_TEST_PASSWORD");
}

TEST_P(Redis, KeepsTablesPrefixesAndDatabasesApart) {
  const auto store = open(layout_of(1));
  put(*store, {{1, {1}}});
  RedisRows prefix = std::get<RedisRows>(rows_), db = prefix;
  prefix.prefix = "other";
  db.db = 3;
  RecordLayout table = layout_of(1);
  table.table = "users";

  EXPECT_EQ(open(table)->count({0, kShards}), 0);
  for (const RedisRows& rows : {prefix, db}) {
    EXPECT_EQ(open_redis(rows, layout_of(1), {0, ShardOwners(1, kShards)})->count({0, kShards}), 0);
  }
}

TEST(PathParts, StayDifferentAndHarmless) {
  EXPECT_EQ(path_part("user_id-7.x"), "user_id-7.x");
  EXPECT_EQ(path_part(".."), "%2E.");
  EXPECT_EQ(path_part("a:b/c%"), "a%3Ab%2Fc%25");
}

}  // namespace
}  // namespace keyshard::testing
