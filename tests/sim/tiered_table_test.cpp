// A table on a device with a budget, whose other rows lie in pinned memory of the host: the rows of
// a table on a CPU without a budget, in no more memory than it may have.
#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "embedding/rows/row_stages.hpp"
#include "embedding/rows/staging.hpp"
#include "embedding/rows/table_set.hpp"
#include "runtime/hash.hpp"
#include "tests/sim/one_rank.hpp"
#include "tests/sim/sim_test.hpp"
#include "tests/support/lanes.hpp"

namespace keyshard {
namespace {

using testing::for_seeds;
using TieredOnDevice = testing::SimTest;

using Bytes = std::vector<unsigned char>;
using Content = std::map<Key, Bytes>;  // values, states and status of every row

constexpr std::int64_t kDim = 64;
constexpr std::uint64_t kKeys = 3000;  // more than thrice as many as the budget has room for

TableOptions options_of(const KvCreator& creator) {
  TableOptions options;
  options.name = "items";
  options.seed = 3;
  options.restrict_policy = Frequency{};
  options.kv_creator = creator;
  options.groups = {{.name = "values",
                     .dim = kDim,
                     .initializer = Normal{},
                     .constant = {},
                     .optimizer = Adagrad{},
                     .regularization = {}}};
  return options;
}

/// Distinct keys, half of them of the first hundred.
std::vector<Key> keys_of(std::uint64_t step, std::uint64_t count) {
  std::vector<Key> keys;
  for (std::uint64_t i = 0; i < count; ++i) {
    keys.push_back(mix64(mix64(step) + i) % (i % 2 == 0 ? 100 : kKeys));
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

/// Memory of the gradients of a call.
template <Backend B>
struct CallMemory {
  Buffer<Key, B> keys;
  Buffer<RowId, B> rows;
  Buffer<float, B> values;
};

/// Looks keys up and gives them gradients; returns what was read.
template <Backend B>
std::vector<float> step(Stream<B>& stream, TableSet<B>& tables, std::uint64_t number,
                        std::uint64_t count) {
  Table<B>& table = *tables.tables().front();
  Table<B>* const self[] = {&table};
  const std::vector<Key> keys = keys_of(number, count);
  const std::int64_t n = std::ssize(keys), starts[] = {0, n};
  const auto memory = std::make_shared<CallMemory<B>>();
  memory->keys = to_device(stream, keys);
  memory->rows = {stream, n};
  memory->values =
      to_device(stream, testing::random_floats(n * kDim, static_cast<unsigned>(number)));
  stage_rows<B>(stream, self, {memory->keys.data(), starts}, true);
  table.find(stream, std::as_const(memory->keys).span(), memory->rows.data());
  Buffer<float, B> read(stream, n * kDim);
  table.read(stream, std::as_const(memory->keys).span(), memory->rows.data(), false, read.data());
  table.add({.size = n,
             .keys = memory->keys.data(),
             .rows = memory->rows.data(),
             .values = memory->values.data(),
             .steps = table.steps(),
             .keep = {memory}});
  tables.apply(stream, {});
  return to_host(stream, read);
}

/// All rows, wherever they are.
template <Backend B>
Content content_of(const Table<B>& table) {
  Content all;
  for (std::int64_t shard = 0; shard < kShards; ++shard) {
    const ShardContent content = table.shard_content(shard);
    const std::vector<Key>& keys = content.keys;
    for (const RowColumn& column : table.columns()) {
      const auto bytes = static_cast<std::size_t>(column.width * value_bytes(column.dtype));
      Bytes out(keys.size() * bytes);
      table.copy_column(content, column, out.data());
      for (std::size_t i = 0; i < keys.size(); ++i) {
        const auto from = out.begin() + static_cast<std::ptrdiff_t>(i * bytes);
        Bytes& row = all[keys[i]];
        row.insert(row.end(), from, from + static_cast<std::ptrdiff_t>(bytes));
      }
    }
  }
  return all;
}

/// Trains so many steps of so many keys on a CPU without a budget and on a device with one.
void train_both(std::uint64_t steps, std::uint64_t count) {
  Stream<Cpu> host;
  const auto communicators = make_thread_communicators(1);
  TableSet<Cpu> plain(*communicators.front());
  Table<Cpu>& expected = plain.create(options_of(HostRows{}));
  Stream<Cuda> stream(0);
  testing::OneRank communicator;
  TableSet<Cuda> tables(communicator);
  Table<Cuda>& table = tables.create(options_of(TieredRows{kLeastFastBytes, HostRows{}}));
  for (std::uint64_t number = 1; number <= steps; ++number) {
    ASSERT_EQ(step(stream, tables, number, count), step(host, plain, number, count)) << number;
    ASSERT_LE(table.bytes(), static_cast<std::size_t>(kLeastFastBytes));
  }
  EXPECT_EQ(table.size(), expected.size());
  EXPECT_LT(table.index().size(), table.size());
  EXPECT_EQ(table.index().size() <= table.stored()->most_rows(), true);
  EXPECT_TRUE(content_of(table) == content_of(expected));
  const FastCounts counts = *tables.fast_counts();
  EXPECT_GT(counts.found, counts.fetched);  // half of the keys are in every step
  EXPECT_GT(counts.fetched, 0);
}

TEST_F(TieredOnDevice, HasTheRowsOfACpuWithinItsBudget) { train_both(8, 1000); }

#ifndef KEYSHARD_REAL_DEVICE

#ifdef KEYSHARD_SIM_NVCC
constexpr bool kOfNvcc = !sim::kHooks && !sim::kTsan;
#else
constexpr bool kOfNvcc = false;
#endif

TEST_F(TieredOnDevice, RunsTheObjectsOfNvccWhereThereIsOne) {
  train_both(4, 1300);
  const sim::Work work = sim::work();
  EXPECT_GT(work.kernels, 0);
  EXPECT_EQ(work.kernels_of_nvcc > work.kernels / 2, kOfNvcc);
}

#endif

TEST_F(TieredOnDevice, HasTheRowsOfACpuInAnyOrderOfQueuesAndLanes) {
  for_seeds(2, [](int) { train_both(4, 1300); });
}

}  // namespace
}  // namespace keyshard
