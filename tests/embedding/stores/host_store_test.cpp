// Records in memory of the host: they stay where they are, and their places are used again.
#include "embedding/stores/host_store.hpp"

#include <map>
#include <set>

#include <gtest/gtest.h>

namespace keyshard::testing {
namespace {

HostStore store_of(std::int64_t floats) {
  return {{"items", "the layout", floats}, host_memory<Cpu>()};
}

std::vector<StoreKey> keys_from(Key first, std::int64_t count) {
  std::vector<StoreKey> keys;
  for (Key key = first; key < first + static_cast<Key>(count); ++key) {
    keys.push_back({key, static_cast<std::uint32_t>(key % kShards)});
  }
  return keys;
}

/// Record i is i + 0.25 and i + 0.5.
std::vector<float> two_floats(std::int64_t count) {
  std::vector<float> records;
  for (std::int64_t i = 0; i < count; ++i) {
    records.push_back(static_cast<float>(i) + 0.25f);
    records.push_back(static_cast<float>(i) + 0.5f);
  }
  return records;
}

TEST(HostStores, GiveBackWhatWasPutAndSayWhatIsAbsent) {
  HostStore store = store_of(2);
  constexpr std::int64_t kRecords = 700'000;  // more than a block holds
  const std::vector<StoreKey> keys = keys_from(1, kRecords);
  store.put(keys, two_floats(kRecords).data());
  std::vector<float> records(2 * 3);
  std::vector<std::uint8_t> found(3);
  const std::vector<StoreKey> asked{keys[699'999], {0, 0}, keys[0]};
  store.get(asked, records.data(), found.data());
  EXPECT_EQ(found, (std::vector<std::uint8_t>{1, 0, 1}));
  EXPECT_EQ(records, (std::vector<float>{699'999.25f, 699'999.5f, 0, 0, 0.25f, 0.5f}));
  EXPECT_EQ(store.count({0, kShards}), kRecords);
  std::map<Key, float> seen;
  store.scan(3, [&](Key key, const float* record) { seen[key] = record[0]; });
  EXPECT_EQ(store.count({3, 4}), std::ssize(seen));
  EXPECT_EQ(std::ssize(seen), kRecords / kShards + 1);  // 3, 1027, ...
  EXPECT_EQ(seen.begin()->second, 2.25f);
}

TEST(HostStores, ARecordStaysWhereItIsAndItsPlaceIsUsedAgain) {
  HostStore store = store_of(2);
  const std::vector<StoreKey> first = keys_from(1, 3), second = keys_from(100, 3);
  const std::vector<float*> places = store.make(first);
  EXPECT_EQ(std::set<float*>(places.begin(), places.end()).size(), 3u);
  *places[1] = 7;
  EXPECT_EQ(store.make(first), places);
  EXPECT_EQ(store.find(first), places);
  EXPECT_EQ(*store.find(first)[1], 7);
  EXPECT_EQ(store.find(second), std::vector<float*>(3, nullptr));
  store.erase(first);
  store.erase(first);  // they are gone
  EXPECT_EQ(store.count({0, kShards}), 0);
  const std::vector<float*> again = store.make(second);
  EXPECT_EQ(std::set<float*>(again.begin(), again.end()),
            std::set<float*>(places.begin(), places.end()));
  store.clear({101, 102});
  EXPECT_EQ(store.find(second)[1], nullptr);
  EXPECT_EQ(store.find(second)[2], again[2]);
}

TEST(HostStores, ASumByIncrementIsThatOfAnyStore) {
  HostStore store = store_of(2);
  const std::vector<StoreKey> keys = keys_from(1, 2);
  const std::vector<float> before{1, 2, 0, 0}, after{2, 4, 5, 6}, now{10, 20};
  store.put(Span<const StoreKey>(keys.data(), 1), now.data());
  const std::uint8_t existed[] = {1, 0};
  EXPECT_EQ(store.add({keys, existed, before.data(), after.data()}), 0);
  std::vector<float> records(4);
  std::vector<std::uint8_t> found(2);
  store.get(keys, records.data(), found.data());
  EXPECT_EQ(records, (std::vector<float>{11, 22, 5, 6}));
}

}  // namespace
}  // namespace keyshard::testing
