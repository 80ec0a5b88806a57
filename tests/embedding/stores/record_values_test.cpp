// Records that are written by increment where another writer has changed them: values of every type
// are added in it, floats of 16 bits as floats that are rounded once, and clipped to their limits,
// by a store on disk and by a server.
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "embedding/rules/partitioners.hpp"
#include "embedding/stores/store.hpp"
#include "runtime/hash.hpp"
#include "runtime/short_floats.hpp"
#include "tests/embedding/stores/store_places.hpp"

namespace keyshard::testing {
namespace {

class RecordsOfValues : public StorePlaces {
 protected:
  std::unique_ptr<Store> open(const RecordLayout& layout) {
    const KvCreator where = creator();
    const SlowRows rows = GetParam() == "redis" ? SlowRows(std::get<RedisRows>(where))
                                                : SlowRows(std::get<RocksDbRows>(where));
    return make_store(rows, layout, {0, ShardOwners(1, kShards)});
  }
};

INSTANTIATE_TEST_SUITE_P(Each, RecordsOfValues, ::testing::Values("rocksdb", "redis"),
                         [](const auto& which) { return which.param; });

RecordLayout layout_of(RecordValues values, std::int64_t num_values, std::int64_t floats) {
  RecordLayout layout{fmt::format("of_{}", static_cast<int>(values)), "the layout", floats};
  layout.values = values;
  layout.num_values = num_values;
  return layout;
}

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

TEST_P(RecordsOfValues, Of16BitsAreAddedAsFloatsAndRoundedOnce) {
  for (const auto kind : {RecordValues::float16, RecordValues::bfloat16}) {
    // 127 is an odd number: half a float is left over.
    const auto store = open(layout_of(kind, 127, 65));
    if (kind == RecordValues::float16) {
      expect_sums<Float16>(*store, 127);
    } else {
      expect_sums<Bfloat16>(*store, 127);
    }
  }
}

TEST_P(RecordsOfValues, OfFloat16AreThoseWorkedByHand) {
  const auto store = open(layout_of(RecordValues::float16, 5, 4));
  // 1 + (2 - 1) = 2; 65504 + 32 is infinite from 65520 on; 2^-24 + 2^-24 = 2^-23; 2048 + 1 lies
  // between 2048 and 2050 and goes to the even one; -0 + 0 = 0.
  const std::vector<float> found =
      added(*store, record_of({0x3C00, 0x7BFF, 0x0001, 0x6800, 0x8000}, 0),
            record_of({0x3C00, 0x0000, 0x0000, 0x0000, 0x3C00}, 0),
            record_of({0x4000, 0x5000, 0x0001, 0x3C00, 0x3C00}, 0));
  EXPECT_EQ(shorts_of(found, 5), (std::vector<std::uint16_t>{0x4000, 0x7C00, 0x0002, 0x6800, 0}));
}

/// The bytes of numbers, padded with zeros to whole floats.
template <class T>
std::vector<float> floats_with(const std::vector<T>& numbers) {
  std::vector<float> floats((numbers.size() * sizeof(T) + 3) / 4);
  std::memcpy(floats.data(), numbers.data(), numbers.size() * sizeof(T));
  return floats;
}

template <class T>
std::vector<T> numbers_of(const std::vector<float>& floats, std::size_t n) {
  std::vector<T> numbers(n);
  std::memcpy(numbers.data(), floats.data(), n * sizeof(T));
  return numbers;
}

/// A number in [-1, 1) that no float has.
double number(std::uint64_t i) { return std::ldexp(static_cast<double>(mix64(i) >> 11), -52) - 1; }

/// The numbers of two records of doubles, `which` of three, and a status behind each, so that the
/// second record begins at an odd place.
constexpr std::size_t kValues = 5, kNumbers = 8;

std::vector<double> record_numbers(std::uint64_t key, std::uint64_t which) {
  std::vector<double> numbers;
  for (std::uint64_t i = 0; i < kNumbers; ++i) {
    numbers.push_back(number(1000 * which + 100 * key + i));
  }
  return numbers;
}

std::vector<float> two_records(std::uint64_t which) {
  std::vector<float> records;
  for (const std::uint64_t key : {0u, 1u}) {
    const std::vector<float> floats = floats_with(record_numbers(key, which));
    records.insert(records.end(), floats.begin(), floats.end());
    records.push_back(0);
  }
  return records;
}

TEST_P(RecordsOfValues, OfDoublesAreAddedInDoubleWithTheirStates) {
  RecordLayout layout = layout_of(RecordValues::float64, kValues, 2 * kNumbers);
  layout.status = StatusMerge::add;
  const auto store = open(layout);
  const std::vector<StoreKey> keys{{7, 7}, {8, 8}};
  const std::vector<float> now = two_records(0), before = two_records(1), after = two_records(2);
  store->put(keys, now.data());
  const std::vector<std::uint8_t> existed{1, 1};
  EXPECT_EQ(store->add({keys, existed.data(), before.data(), after.data()}), 0);

  std::vector<float> found(now.size());
  std::uint8_t exists[2];
  store->get(keys, found.data(), exists);
  for (std::size_t key = 0; key < 2; ++key) {
    const auto begin = found.begin() + static_cast<std::ptrdiff_t>(key) * layout.size();
    const std::vector<double> sums = numbers_of<double>({begin, begin + layout.floats}, kNumbers);
    for (std::size_t i = 0; i < kNumbers; ++i) {
      const double change = record_numbers(key, 2)[i] - record_numbers(key, 1)[i];
      EXPECT_EQ(sums[i], record_numbers(key, 0)[i] + change) << key << " " << i;
    }
  }
}

/// Adds numbers of an integer type, which wrap.
template <class T>
void expect_integers(Store& store) {
  constexpr T kMost = std::numeric_limits<T>::max(), kLeast = std::numeric_limits<T>::min();
  const std::vector<T> now{kMost, 5, kLeast, -1, 100}, before{0, 7, 1, kLeast, 0},
      after{1, 3, 0, kMost, -101};
  // The change of -1 is kMost - kLeast, which wraps to -1.
  const std::vector<T> expected{kLeast, 1, kMost, -2, -1};
  EXPECT_EQ(numbers_of<T>(added(store, floats_with(now), floats_with(before), floats_with(after)),
                          now.size()),
            expected);
}

TEST_P(RecordsOfValues, OfIntegersAreAddedAndWrap) {
  expect_integers<std::int8_t>(*open(layout_of(RecordValues::int8, 5, 2)));
  expect_integers<std::int32_t>(*open(layout_of(RecordValues::int32, 5, 5)));
  expect_integers<std::int64_t>(*open(layout_of(RecordValues::int64, 5, 10)));
}

/// Values of three column groups, of which the first has the limit 5 and the second 2.
template <class T>
void expect_limits(Store& store) {
  // (3, 4) + (3, 4) has the norm 10; 1 + 3 = 4; (30, 40) + 1 has no limit; a state of 9 + 9 has
  // none.
  const std::vector<T> now{3, 4, 1, 30, 40, 9}, before{1, 1, 0, 1, 1, 0}, after{4, 5, 3, 2, 2, 9};
  EXPECT_EQ(numbers_of<T>(added(store, floats_with(now), floats_with(before), floats_with(after)),
                          now.size()),
            (std::vector<T>{3, 4, 2, 31, 41, 18}));
}

TEST_P(RecordsOfValues, AreClippedToTheirLimitsAfterTheyAreAdded) {
  const std::vector<RecordLimit> limits{{0, 2, 5}, {2, 1, 2}};
  RecordLayout floats = layout_of(RecordValues::float32, 5, 6);
  floats.limits = limits;
  expect_limits<float>(*open(floats));
  RecordLayout doubles = layout_of(RecordValues::float64, 5, 12);
  doubles.limits = limits;
  expect_limits<double>(*open(doubles));
  RecordLayout halves = layout_of(RecordValues::float16, 2, 2);
  halves.limits = {{0, 2, 5}};
  // 3 = 0x4200, 4 = 0x4400.
  const std::vector<float> found = added(*open(halves), record_of({0x4200, 0x4400}, 0),
                                         record_of({0, 0}, 0), record_of({0x4200, 0x4400}, 0));
  EXPECT_EQ(shorts_of(found, 2), (std::vector<std::uint16_t>{0x4200, 0x4400}));
}

TEST_P(RecordsOfValues, AreClippedToTheSameBitsByEveryStore) {
  constexpr std::int64_t kFloats = 77;
  RecordLayout layout = layout_of(RecordValues::float32, kFloats, kFloats);
  layout.limits = {{0, 70, 0.7}, {70, 7, 0.1}};
  const auto store = open(layout);
  for (std::uint64_t round = 0; round < 20; ++round) {
    std::vector<float> now, before, after;
    for (std::uint64_t i = 0; i < kFloats; ++i) {
      now.push_back(static_cast<float>(number(100 * round + i)));
      before.push_back(static_cast<float>(number(10000 + 100 * round + i)));
      after.push_back(static_cast<float>(number(20000 + 100 * round + i)));
    }
    std::vector<float> expected = now;
    merge_record(layout, before.data(), after.data(), expected.data());
    double squares = 0;
    for (std::size_t i = 0; i < 70; ++i) {
      squares += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
    }
    EXPECT_NEAR(std::sqrt(squares), 0.7, 1e-6);
    EXPECT_EQ(added(*store, now, before, after), expected) << round;
  }
}

}  // namespace
}  // namespace keyshard::testing
