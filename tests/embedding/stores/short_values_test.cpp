// Records whose values are floats of 16 bits, written by increment where another writer has changed
// them: they are added as floats and rounded once, by a store on disk and by a server.
#include <cstring>

#include <gtest/gtest.h>

#include "embedding/rules/partitioners.hpp"
#include "embedding/stores/store.hpp"
#include "runtime/hash.hpp"
#include "runtime/short_floats.hpp"
#include "tests/embedding/stores/store_places.hpp"

namespace keyshard::testing {
namespace {

class ShortRecords : public StorePlaces {
 protected:
  std::unique_ptr<Store> open(const RecordLayout& layout) {
    const KvCreator where = creator();
    const SlowRows rows = GetParam() == "redis" ? SlowRows(std::get<RedisRows>(where))
                                                : SlowRows(std::get<RocksDbRows>(where));
    return make_store(rows, layout, {0, ShardOwners(1, kShards)});
  }
};

INSTANTIATE_TEST_SUITE_P(Each, ShortRecords, ::testing::Values("rocksdb", "redis"),
                         [](const auto& which) { return which.param; });

/// Numbers of 16 bits and a float behind them, as a record has them.
std::vector<float> record_of(const std::vector<std::uint16_t>& shorts, float state) {
  std::vector<float> record((shorts.size() + 1) / 2 + 1);
  std::memcpy(record.data(), shorts.data(), 2 * shorts.size());
  record.back() = state;
  return record;
}

std::vector<std::uint16_t> shorts_of(const std::vector<float>& record, std::size_t n) {
  std::vector<std::uint16_t> shorts(n);
  std::memcpy(shorts.data(), record.data(), 2 * n);
  return shorts;
}

/// Writes `before` -> `after` by increment over `now`, and returns the record.
std::vector<float> added(Store& store, const std::vector<float>& now,
                         const std::vector<float>& before, const std::vector<float>& after) {
  const std::vector<StoreKey> keys{{7, 7}};
  store.put(keys, now.data());
  const std::vector<std::uint8_t> existed{1};
  EXPECT_EQ(store.add({keys, existed.data(), before.data(), after.data()}), 0);
  std::vector<float> found(now.size());
  std::uint8_t exists = 0;
  store.get(keys, found.data(), &exists);
  EXPECT_EQ(exists, 1);
  return found;
}

/// All sums of a list of numbers of 16 bits are what Short makes of the sum of floats.
template <class Short>
void expect_sums(Store& store, std::size_t n) {
  for (std::uint64_t round = 0; round < 20; ++round) {
    std::vector<std::uint16_t> now(n), before(n), after(n), expected(n);
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint64_t word = mix64(1000 * round + i);
      now[i] = static_cast<std::uint16_t>(word);
      before[i] = static_cast<std::uint16_t>(word >> 16);
      after[i] = static_cast<std::uint16_t>(word >> 32);
      const float delta = Short::widen(after[i]) - Short::widen(before[i]);
      expected[i] = Short::narrow(Short::widen(now[i]) + delta);
    }
    const std::vector<float> found =
        added(store, record_of(now, 1), record_of(before, 2), record_of(after, 5));
    const std::vector<std::uint16_t> sums = shorts_of(found, n);
    for (std::size_t i = 0; i < n; ++i) {
      const float want = Short::widen(expected[i]), got = Short::widen(sums[i]);
      if (want == want || got == got) {  // the bits of a NaN are those of whoever adds
        EXPECT_EQ(sums[i], expected[i]) << now[i] << " " << before[i] << " " << after[i];
      }
    }
    EXPECT_EQ(found.back(), 4);
  }
}

TEST_P(ShortRecords, AreAddedAsFloatsAndRoundedOnce) {
  for (const auto kind : {ShortValues::float16, ShortValues::bfloat16}) {
    RecordLayout layout{kind == ShortValues::float16 ? "half" : "brain", "the layout", 65};
    layout.shorts = kind;
    layout.num_shorts = 127;  // an odd number: half a float is left over
    const auto store = open(layout);
    if (kind == ShortValues::float16) {
      expect_sums<Float16>(*store, 127);
    } else {
      expect_sums<Bfloat16>(*store, 127);
    }
  }
}

TEST_P(ShortRecords, OfFloat16AreThoseWorkedByHand) {
  RecordLayout layout{"half", "the layout", 4};
  layout.shorts = ShortValues::float16;
  layout.num_shorts = 5;
  const auto store = open(layout);
  // 1 + (2 - 1) = 2; 65504 + 32 is infinite from 65520 on; 2^-24 + 2^-24 = 2^-23; 2048 + 1 lies
  // between 2048 and 2050 and goes to the even one; -0 + 0 = 0.
  const std::vector<float> found =
      added(*store, record_of({0x3C00, 0x7BFF, 0x0001, 0x6800, 0x8000}, 0),
            record_of({0x3C00, 0x0000, 0x0000, 0x0000, 0x3C00}, 0),
            record_of({0x4000, 0x5000, 0x0001, 0x3C00, 0x3C00}, 0));
  EXPECT_EQ(shorts_of(found, 5), (std::vector<std::uint16_t>{0x4000, 0x7C00, 0x0002, 0x6800, 0}));
}

}  // namespace
}  // namespace keyshard::testing
