// Functors of rows on the lanes of a device, in teams of 1, 8, 16 and 32, against the one lane of a
// CPU, bit for bit.
#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "embedding/rows/restrict_impl.hpp"
#include "embedding/rows/row_stages_impl.hpp"
#include "embedding/rows/table_impl.hpp"
#include "embedding/rows/update_row.hpp"
#include "embedding/rows/write_back_impl.hpp"
#include "runtime/for_each_cuda.hpp"
#include "tests/sim/sim_test.hpp"
#include "tests/support/lanes.hpp"

namespace keyshard {
namespace {

using testing::Bits;
using testing::for_alternatives;
using testing::kDims;
using testing::random_floats;
using RowFunctorsOfDevice = testing::SimTest;

constexpr std::int64_t kSizes[] = {0, 1, 31, 32, 33};
constexpr std::int64_t kMany = 1000;

/// Launches of a CPU.
struct OnCpu {
  using Device = Cpu;
  Stream<Cpu> stream{};

  template <class F>
  void rows(std::int64_t n, const F& functor) {
    for_each_row(stream, n, functor);
  }
};

/// Launches of a device with teams of one width.
template <int kWidth>
struct OnDevice {
  using Device = Cuda;
  Stream<Cuda> stream{0};

  template <class F>
  void rows(std::int64_t n, const F& functor) {
    if (n > 0) {
      launch(stream, blocks_for(n, kWidth), EachRow<kWidth, F>{n, functor});
    }
  }
};

/// Expects that work(lanes, n, dim), which returns the Bits of its results, returns on a device
/// what it returns on a CPU: for few rows with 20 seeds or more and every dim, for many with one.
template <class Work>
void expect_same_bits(const Work& work) {
  for (int seed = 0; seed <= std::max(20, testing::seeds_of_test(20)); ++seed) {
    const std::int64_t n = seed == 0 ? kMany : kSizes[seed % std::ssize(kSizes)];
    const std::int64_t dim = kDims[seed % std::ssize(kDims)];
    SCOPED_TRACE(::testing::Message() << "seed " << seed << ", " << n << " rows of " << dim);
    sim::reset_device({.seed = static_cast<std::uint64_t>(seed)});
    const std::vector<unsigned char> expected = work(OnCpu{}, n, dim).bytes();
    EXPECT_EQ(expected.empty(), n == 0);
    EXPECT_EQ(work(OnDevice<1>{}, n, dim).bytes(), expected) << "1 lane";
    EXPECT_EQ(work(OnDevice<8>{}, n, dim).bytes(), expected) << "8 lanes";
    EXPECT_EQ(work(OnDevice<16>{}, n, dim).bytes(), expected) << "16 lanes";
    EXPECT_EQ(work(OnDevice<32>{}, n, dim).bytes(), expected) << "32 lanes";
    if (::testing::Test::HasFailure()) {
      return;
    }
  }
}

/// A table of two groups, which are regularized, the second of 3 columns.
TableOptions options_of(std::int64_t dim, const Initializer& initializer,
                        const Optimizer& optimizer) {
  const Regularization decays{.l2 = 0.1f, .weight_decay = 0.01f, .clip_value = 0.9f};
  const Regularization counts{.l2 = 0.1f, .l2_per_occurrence = true, .clip_norm = 0.5f};
  TableOptions options;
  options.name = "items";
  options.seed = 11;
  options.restrict_policy = Frequency{};
  options.groups = {{.name = "values",
                     .dim = dim,
                     .initializer = initializer,
                     .constant = {},
                     .optimizer = optimizer,
                     .regularization = decays,
                     .max_norm = 0.5},
                    {.name = "linear",
                     .dim = 3,
                     .initializer = Uniform{},
                     .constant = {},
                     .optimizer = Ftrl{},
                     .regularization = counts}};
  return options;
}

/// Keys of rows, the smallest and the largest among them.
std::vector<Key> keys_of(std::int64_t n) {
  std::vector<Key> keys;
  for (std::int64_t i = 0; i < n; ++i) {
    keys.push_back((static_cast<Key>(i) - 7) * 1024);
  }
  return keys;
}

/// A permutation of the rows; where some are missing, every third is.
std::vector<RowId> ids_of(std::int64_t n, bool some_missing = false) {
  std::vector<RowId> ids;
  for (std::int64_t i = 0; i < n; ++i) {
    ids.push_back(some_missing && i % 3 == 1 ? kNoRow : static_cast<RowId>((i * 7 + 3) % n));
  }
  return ids;
}

/// Rows [0, n) of a table as functors see it, one step begun, in plain memory of a device.
template <Backend B>
struct PlainTable {
  Table<Cpu> rules;
  std::vector<GroupRef> groups;
  Buffer<float, B> rows, statuses;
  Buffer<double, B> constants;
  Buffer<GroupRef, B> device_groups;
  Buffer<TableRef, B> storage;
  TableRef ref{};
  Buffer<Key, B> keys;
  Buffer<RowId, B> ids, found;

  PlainTable(Stream<B>& stream, const TableOptions& options, std::int64_t n)
      : rules(options, {0, kShards}),
        keys(to_device(stream, keys_of(n))),
        ids(to_device(stream, ids_of(n))),
        found(to_device(stream, ids_of(n, true))) {
    std::vector<float> numbers = random_floats(n * rules.layout().stride, 3);
    for (float& x : numbers) {
      x = std::abs(x);  // the states of some optimizers are not negative
    }
    rows = to_device(stream, numbers);
    statuses = to_device(stream,
                         std::vector<float>(static_cast<std::size_t>(n), std::bit_cast<float>(6u)));
    rules.add_group_refs(groups);
    rules.begin_step({.learning_rate_scale = 0.5f, .valid_samples = 4}, groups.data());
    if (std::holds_alternative<ConstantVector>(groups[0].initializer)) {
      constants = to_device(stream, options.groups[0].constant);
      groups[0].initializer = ConstantVector{constants.data()};
    }
    device_groups = to_device(stream, groups);
    ref = rules.ref(device_groups.data());
    ref.store = {.slabs = {rows.data()},
                 .stride = rules.layout().stride,
                 .first_rows = 1024,
                 .first_bits = 10};
    ref.status.store = {
        .slabs = {statuses.data()}, .stride = 1, .first_rows = 1024, .first_bits = 10};
    storage = to_device(stream, std::vector<TableRef>{ref});
  }

  /// Adds what the table holds.
  void add(Stream<B>& stream, Bits& bits) {
    bits.add(to_host(stream, rows));
    bits.add(to_host(stream, statuses));
  }
};

/// Expects the same after a step of the rule alone (bare), or with all that a step can have.
template <class O>
void expect_same_updates(const O& optimizer, bool bare) {
  SCOPED_TRACE(optimizer.kName);
  expect_same_bits([&](auto lanes, std::int64_t n, std::int64_t dim) {
    using B = typename decltype(lanes)::Device;
    TableOptions options = options_of(dim, Normal{}, optimizer);
    if (bare) {
      options.restrict_policy = KeepAll{};
      options.groups.resize(1);
      options.groups[0].regularization = {};
      options.groups[0].max_norm = 0;
    }
    PlainTable<B> table(lanes.stream, options, n);
    EXPECT_EQ(table.ref.has_rule_alone(table.groups[0]), bare);
    Buffer<float, B> gradients = to_device(lanes.stream, random_floats(n * table.ref.dim, 5));
    const Buffer<std::uint32_t, B> occurrences = to_device(lanes.stream, ids_of(n));
    lanes.rows(n, UpdateRow<O>(table.ref, table.groups[0], optimizer,
                               {.keys = table.keys.data(),
                                .rows = table.found.data(),
                                .first_new = static_cast<RowId>(n / 2),
                                .gradients = gradients.data(),
                                .occurrences = occurrences.data()}));
    Bits bits;
    table.add(lanes.stream, bits);
    bits.add(to_host(lanes.stream, gradients));
    return bits;
  });
}

TEST_F(RowFunctorsOfDevice, UpdatesOfEveryOptimizerHaveTheBitsOfOneLane) {
  for_alternatives<BuiltInOptimizer>([](auto optimizer) { expect_same_updates(optimizer, false); });
  expect_same_updates(Sgd{}, true);
  expect_same_updates(Adam{}, true);
  expect_same_updates(Lamb{}, true);
}

TEST_F(RowFunctorsOfDevice, UpdatesOfShortRowsHaveTheBitsOfOneLane) {
  for (const ValueDtype dtype : {ValueDtype::float16, ValueDtype::bfloat16}) {
    expect_same_bits([&](auto lanes, std::int64_t n, std::int64_t dim) {
      using B = typename decltype(lanes)::Device;
      TableOptions options = options_of(dim, Normal{}, Adam{});
      options.value_dtype = dtype;
      PlainTable<B> table(lanes.stream, options, n);
      Buffer<float, B> gradients = to_device(lanes.stream, random_floats(n * (dim + 3), 5));
      Buffer<float, B> wide(lanes.stream, n * (dim + 3));
      lanes.rows(n, InitializeRow<Normal>{.table = table.storage.data(),
                                          .initializer = {},
                                          .keys = table.keys.data(),
                                          .rows = table.ids.data(),
                                          .first = 0,
                                          .wide = {wide.data()}});
      lanes.rows(
          n, UpdateRow<Adam>(
                 table.ref, table.groups[0], Adam{},
                 {.rows = table.ids.data(), .gradients = gradients.data(), .wide = {wide.data()}}));
      Bits bits;
      // What lies between the values and the states of a row of 16-bit numbers is never written.
      table.add(lanes.stream, bits);
      Buffer<float, B> out(lanes.stream, n * (dim + 3));
      lanes.rows(n, WidenRow{.table = table.storage.data(),
                             .keys = table.keys.data(),
                             .rows = table.found.data(),
                             .first = 0,
                             .inference = false,
                             .out = out.data(),
                             .places = nullptr});
      bits.add(to_host(lanes.stream, out));
      return bits;
    });
  }
}

/// places[i] as an offset in one of two arrays.
struct OffsetOfPlace {
  const float* const* places;
  const float* rows;
  const float* spare;
  std::int64_t floats;  ///< in `rows`
  std::int64_t* offsets;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const bool in_rows = places[i] >= rows && places[i] < rows + floats;
    offsets[i] = in_rows ? places[i] - rows : floats + (places[i] - spare);
  }
};

/// Reads and locates keys of which some are absent.
template <class Lanes, Backend B>
void read_and_locate(Lanes& lanes, PlainTable<B>& table, std::int64_t n, bool inference,
                     Bits& bits) {
  Buffer<float, B> out(lanes.stream, n * table.ref.dim);
  Buffer<float, B> spare =
      to_device(lanes.stream, std::vector<float>(static_cast<std::size_t>(n * table.ref.dim)));
  Buffer<const float*, B> places(lanes.stream, n);
  lanes.rows(n, ReadRow{.table = table.storage.data(),
                        .keys = table.keys.data(),
                        .rows = table.found.data(),
                        .which = table.ids.data(),
                        .first = 0,
                        .inference = inference,
                        .out = out.data()});
  lanes.rows(n, LocateRow{.table = table.storage.data(),
                          .keys = table.keys.data(),
                          .rows = table.found.data(),
                          .first = 0,
                          .inference = inference,
                          .spare = spare.data(),
                          .places = places.data()});
  Buffer<std::int64_t, B> offsets(lanes.stream, n);
  for_each(lanes.stream, n,
           OffsetOfPlace{.places = places.data(),
                         .rows = table.rows.data(),
                         .spare = spare.data(),
                         .floats = table.rows.size(),
                         .offsets = offsets.data()});
  bits.add(to_host(lanes.stream, out));
  bits.add(to_host(lanes.stream, spare));
  bits.add(to_host(lanes.stream, offsets));
}

TEST_F(RowFunctorsOfDevice, InitialValuesReadsAndAssignmentsHaveTheBitsOfOneLane) {
  for_alternatives<BuiltInInitializer>([](auto initializer) {
    using I = decltype(initializer);
    expect_same_bits([&](auto lanes, std::int64_t n, std::int64_t dim) {
      using B = typename decltype(lanes)::Device;
      TableOptions options = options_of(dim, initializer, Adam{});
      options.missing = Missing::zeros;
      if constexpr (std::is_same_v<I, ConstantVector>) {
        const std::vector<float> constant = random_floats(dim, 9);
        options.groups[0].constant.assign(constant.begin(), constant.end());
      }
      PlainTable<B> table(lanes.stream, options, n);
      lanes.rows(n, InitializeRow<I>{.table = table.storage.data(),
                                     .initializer = *std::get_if<I>(&table.groups[0].initializer),
                                     .keys = table.keys.data(),
                                     .rows = table.ids.data()});
      Bits bits;
      table.add(lanes.stream, bits);
      for (const bool inference : {false, true}) {
        read_and_locate(lanes, table, n, inference, bits);
      }
      const Buffer<float, B> values = to_device(lanes.stream, random_floats(n * (dim + 3), 8));
      lanes.rows(
          n, AssignRow{table.storage.data(), table.keys.data(), table.ids.data(), values.data()});
      table.add(lanes.stream, bits);
      return bits;
    });
  });
}

TEST_F(RowFunctorsOfDevice, RowsThatAreWrittenBackHaveTheBitsOfOneLane) {
  for (const bool by_increment : {false, true}) {
    expect_same_bits([&](auto lanes, std::int64_t n, std::int64_t dim) {
      using B = typename decltype(lanes)::Device;
      PlainTable<B> table(lanes.stream, options_of(dim, Normal{}, Adam{}), n);
      const Buffer<float, B> old = to_device(lanes.stream, random_floats(n * (dim + 3), 6));
      const Buffer<float, B> updated = to_device(lanes.stream, random_floats(n * (dim + 3), 7));
      lanes.rows(n, WriteBackRow{.table = table.storage.data(),
                                 .which = table.ids.data(),
                                 .rows = table.ids.data(),
                                 .read = table.found.data(),
                                 .old = old.data(),
                                 .updated = updated.data(),
                                 .by_increment = by_increment,
                                 .wide = {}});
      Bits bits;
      table.add(lanes.stream, bits);
      return bits;
    });
  }
}

TEST_F(RowFunctorsOfDevice, RowsThatMoveHaveTheBitsOfOneLane) {
  expect_same_bits([](auto lanes, std::int64_t n, std::int64_t dim) {
    using B = typename decltype(lanes)::Device;
    PlainTable<B> table(lanes.stream, options_of(dim, Normal{}, Adam{}), n);
    // Of the rows that stay, those of the last third move to the places of the first.
    std::vector<std::uint32_t> moving, holes;
    for (std::int64_t i = 0; i < n / 3; ++i) {
      moving.push_back(static_cast<std::uint32_t>(n - 1 - i));
      holes.push_back(static_cast<std::uint32_t>(i));
    }
    std::vector<RowId> stay;
    for (std::int64_t i = 0; i < n; ++i) {
      stay.push_back(static_cast<RowId>(i));
    }
    const Buffer<std::uint32_t, B> from = to_device(lanes.stream, moving);
    const Buffer<std::uint32_t, B> to = to_device(lanes.stream, holes);
    Buffer<RowId, B> rows = to_device(lanes.stream, stay);
    lanes.rows(n / 3, MoveRow{table.ref, from.data(), to.data(), rows.data()});
    Bits bits;
    table.add(lanes.stream, bits);
    bits.add(to_host(lanes.stream, rows));
    return bits;
  });
}

/// The index that a device has for the keys of every third row, and one of a CPU.
template <Backend B, class P>
void fill(KeyIndex<B>& index, const P& partitioner, std::int64_t n) {
  const std::vector<Key> keys = keys_of(n);
  for (std::int64_t i = 0; i < n; i += 3) {
    const Key key = keys[static_cast<std::size_t>(i)];
    index.insert(partitioner.shard(key), {&key, 1}, static_cast<RowId>(i));
  }
}

TEST_F(RowFunctorsOfDevice, FindGivesTheRowsOfOneLane) {
  for_alternatives<BuiltInPartitioner>([](auto partitioner) {
    expect_same_bits([&](auto lanes, std::int64_t n, std::int64_t /*dim*/) {
      using B = typename decltype(lanes)::Device;
      n = std::min<std::int64_t>(n, 100);
      KeyIndex<B> index({0, kShards}, 5);
      fill(index, partitioner, n);
      const Buffer<Key, B> keys = to_device(lanes.stream, keys_of(n));
      Buffer<RowId, B> rows(lanes.stream, n);
      lanes.rows(
          n, FindRow<decltype(partitioner)>{index.ref(), partitioner, keys.data(), rows.data()});
      const std::vector<RowId> found = to_host(lanes.stream, rows);
      for (std::int64_t i = 0; i < n; ++i) {
        EXPECT_EQ(found[static_cast<std::size_t>(i)], i % 3 == 0 ? static_cast<RowId>(i) : kNoRow);
      }
      Bits bits;
      bits.add(found);
      return bits;
    });
  });
}

}  // namespace
}  // namespace keyshard
