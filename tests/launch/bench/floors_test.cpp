#include "launch/bench/floors.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "collectives/thread_communicator.hpp"
#include "launch/bench/sparse_step.hpp"

namespace keyshard {
namespace {

/// A few samples with keys that come often, with bags of 1 or of 0 to 3 ids.
IdBatches small_batches(bool bags) {
  IdBatches batches = bags ? workload_w2({"", 1, 0}) : workload_w1({"", 1, 0});
  IdBatches small;
  small.name = batches.name;
  small.samples = 32;
  small.features = batches.features;
  small.starts.push_back(0);
  for (std::int64_t step = 0; step < 4; ++step) {
    std::int64_t offset = 0;
    for (std::int64_t bag = 0; bag <= small.bags(); ++bag) {
      if (bags || step == 0) {
        small.offsets.push_back(offset);
      }
      const std::int64_t ids = bag == small.bags() ? 0 : bags ? (bag + step) % 4 : 1;
      for (std::int64_t i = 0; i < ids; ++i) {
        small.keys.push_back(batches.keys[static_cast<std::size_t>((offset + step * 7) % 200)]);
        ++offset;
      }
    }
    small.starts.push_back(static_cast<std::int64_t>(small.keys.size()));
  }
  return small;
}

void expect_near(const float* expected, const float* found, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    ASSERT_NEAR(expected[i], found[i], 1e-5 * std::max(1.0f, std::fabs(expected[i]))) << i;
  }
}

struct Case {
  bool bags;
  FloorOptimizer optimizer;
  std::int64_t dim;
  int threads;
};

class BenchFloor : public ::testing::TestWithParam<Case> {};

TEST_P(BenchFloor, RowsAreThoseOfTheLibraryAfterSomeSteps) {
  const Case& c = GetParam();
  const IdBatches batches = small_batches(c.bags);
  const auto communicators = make_thread_communicators(1);
  Stream<Cpu> stream(c.threads);
  SparseOptions options;
  options.dim = c.dim;
  options.optimizer =
      c.optimizer == FloorOptimizer::adagrad ? bench_adagrad() : bench_rowwise_adagrad();
  SparseStep<Cpu> ours(*communicators[0], stream, batches, options);
  ours.fill(batches);
  SparseFloor floor(stream.threads(), c.dim, c.optimizer);
  std::vector<float> out(static_cast<std::size_t>(batches.bags() * c.dim));
  for (std::int64_t step = 0; step < batches.steps(); ++step) {
    floor.insert(batches.keys_of(step));
  }
  for (std::int64_t step = 0; step < batches.steps(); ++step) {
    ours.train(step);
    floor.train(batches.keys_of(step), batches.offsets_of(step), ours.gradients().data(),
                out.data());
    expect_near(ours.pooled().data(), out.data(), static_cast<std::int64_t>(out.size()));
  }
  Table<Cpu>& table = *ours.tables().tables().front();
  ASSERT_EQ(floor.size(), table.size());
  std::vector<RowId> rows(batches.keys.size());
  table.find(stream, batches.keys, rows.data());
  std::vector<float> values(rows.size() * static_cast<std::size_t>(c.dim));
  table.read(stream, batches.keys, rows.data(), false, values.data());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASSERT_NE(floor.row(batches.keys[i]), nullptr);
    expect_near(values.data() + static_cast<std::int64_t>(i) * c.dim, floor.row(batches.keys[i]),
                c.dim);
  }
}

INSTANTIATE_TEST_SUITE_P(All, BenchFloor,
                         ::testing::Values(Case{false, FloorOptimizer::adagrad, 16, 1},
                                           Case{false, FloorOptimizer::adagrad, 64, 2},
                                           Case{false, FloorOptimizer::rowwise, 16, 2},
                                           Case{true, FloorOptimizer::adagrad, 16, 2},
                                           Case{true, FloorOptimizer::rowwise, 64, 1}));

TEST(BenchFloorTable, OneAdagradStepIsTheFormula) {
  ThreadPool threads(1);
  SparseFloor floor(threads, 16, FloorOptimizer::adagrad);
  const Key keys[] = {0xFEDCBA9876543210ull, 0xFEDCBA9876543210ull};
  const std::int64_t offsets[] = {0, 1, 2};
  std::vector<float> gradients(32, 0.5f), out(32);
  floor.insert(keys);
  floor.train(keys, offsets, gradients.data(), out.data());
  // g = 0.5 + 0.5; h = 1; w -= 0.05 * 1 / (1 + 1e-7).
  for (std::int64_t d = 0; d < 16; ++d) {
    EXPECT_NEAR(floor.row(keys[0])[d], filled_value(keys[0], d) - 0.05f, 1e-6);
    EXPECT_EQ(floor.row(keys[0])[16 + d], 1.0f);
    EXPECT_EQ(out[static_cast<std::size_t>(16 + d)], filled_value(keys[0], d));
  }
}

TEST(BenchFloorTable, AKeyThatWasNeverInsertedHasNoRow) {
  ThreadPool threads(2);
  const SparseFloor floor(threads, 16, FloorOptimizer::rowwise);
  EXPECT_EQ(floor.row(0x123456789ABCDEFull), nullptr);
}

}  // namespace
}  // namespace keyshard
