// The bytes that kernels of a device touch, counted access by access in the mode hooks, against
// those that docs/gpu.md derives from the code. Copies, fills and CUB's algorithms are not kernels.
#include "tests/sim/traffic.hpp"

#include <bit>
#include <cmath>

#include "embedding/rows/dedup.hpp"
#include "embedding/rows/table.hpp"
#include "runtime/hash.hpp"
#include "tests/sim/sim_test.hpp"

namespace keyshard {
namespace {

/// Bytes that the kernels of a call read and write.
struct Bytes {
  double read = 0;
  double written = 0;
};

/// What a call reads and writes whatever the keys are: the segments of a table, its refs, starts.
constexpr double kFixed = 24'000;

class TrafficOfDevice : public testing::SimTest {
 protected:
  static constexpr std::int64_t kKeys = 2000;

  void SetUp() override {
    SimTest::SetUp();
    if (!sim::kHooks) {
      GTEST_SKIP() << "accesses are counted in the mode hooks";
    }
    sim::reset_device({.guard = false});
  }

  /// With room for so many lines of the index that few keys share one.
  static TableOptions options_of(std::int64_t dim) {
    TableOptions options;
    options.name = "table";
    options.groups = {{"values", dim, Constant{0.01f}, {}, Sgd{0.01f}, {}}};
    options.init_capacity = 16 * kKeys;
    return options;
  }

  static std::vector<Key> distinct_keys() {
    std::vector<Key> keys;
    for (std::int64_t i = 0; i < kKeys; ++i) {
      keys.push_back(mix64((Key{1} << 40) + static_cast<Key>(i)));
    }
    return keys;
  }

  template <class Call>
  static void expect_traffic(Stream<Cuda>& stream, const Bytes& expected, const Call& call) {
    stream.wait();
    if constexpr (sim::kHooks) {
      sim::reset_traffic();
      call();
      stream.wait();
      const sim::Traffic found = sim::traffic();
      EXPECT_LE(static_cast<double>(found.read), expected.read + kFixed);
      EXPECT_GE(static_cast<double>(found.read), 0.97 * expected.read);
      EXPECT_LE(static_cast<double>(found.written), expected.written + kFixed);
      EXPECT_GE(static_cast<double>(found.written), 0.97 * expected.written);
    }
  }
};

TEST_F(TrafficOfDevice, OfCallsOnATableIsWhatTheCodeSays) {
  const auto n = static_cast<double>(kKeys);
  Stream<Cuda> stream(0);
  const Buffer<Key, Cuda> keys = to_device(stream, distinct_keys());
  Buffer<RowId, Cuda> rows(stream, kKeys);
  for (const std::int64_t dim : {8, 128}) {
    SCOPED_TRACE(dim);
    Table<Cuda> table(options_of(dim), {0, kShards});
    const double row = 4 * static_cast<double>(dim);
    const auto insert = [&] { table.find_or_insert(stream, keys.span(), rows.data()); };
    expect_traffic(stream, {260 * n, (168 + row) * n}, insert);
    expect_traffic(stream, {72 * n, 12 * n}, [&] { table.find(stream, keys.span(), rows.data()); });
    expect_traffic(stream, {76 * n, 20 * n}, insert);
    Buffer<float, Cuda> values(stream, kKeys * dim);
    expect_traffic(stream, {(4 + row) * n, row * n},
                   [&] { table.read(stream, keys.span(), rows.data(), false, values.data()); });
    expect_traffic(stream, {(8 + 2 * row) * n, (8 + row) * n}, [&] {
      table.add({.size = kKeys,
                 .keys = keys.data(),
                 .rows = rows.data(),
                 .values = values.data(),
                 .occurrences = nullptr,
                 .steps = table.steps(),
                 .finite = true,
                 .keep = {}});
      table.apply(stream, {});
    });
  }
}

/// Of ten tables: each key comes `times` times.
TEST_F(TrafficOfDevice, OfADedupIsWhatTheCodeSays) {
  Stream<Cuda> stream(0);
  const std::vector<Partitioner> partitioners(10, partitioner_of("hash", "table"));
  for (const std::int64_t times : {1, 4}) {
    SCOPED_TRACE(times);
    std::vector<Key> keys;
    std::vector<std::uint16_t> tables;
    for (std::int64_t i = 0; i < kKeys; ++i) {
      keys.push_back(mix64(static_cast<Key>(i % (kKeys / times))));
      tables.push_back(static_cast<std::uint16_t>(i % (kKeys / times) % 10));
    }
    const Buffer<Key, Cuda> device_keys = to_device(stream, keys);
    const Buffer<std::uint16_t, Cuda> device_tables = to_device(stream, tables);
    const auto n = static_cast<double>(kKeys), u = n / static_cast<double>(times);
    // The keys fall on slots of 4 bytes at random, and so touch some of the sectors of 32 bytes.
    const double all = 4.0 * static_cast<double>(std::bit_ceil(std::uint64_t{2 * kKeys}));
    const double slots = all * (1 - std::exp(-32 * u / all));
    expect_traffic(stream, {34 * n + 34 * u + 3 * slots, 24 * n + 24 * u + 2 * slots}, [&] {
      dedup(stream, Occurrences{.keys = device_keys.span(),
                                .tables = device_tables.data(),
                                .partitioners = partitioners});
    });
  }
}

}  // namespace
}  // namespace keyshard
