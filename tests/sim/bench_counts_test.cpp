// What the calls that `keyshard bench --device cuda` times give to the device: the numbers of
// launches, copies and waits that docs/gpu.md has for each of them.
#include <memory>

#include "embedding/rows/dedup.hpp"
#include "launch/bench/sparse_step.hpp"
#include "launch/bench/table_calls.hpp"
#include "tests/sim/one_rank.hpp"
#include "tests/sim/sim_test.hpp"

namespace keyshard::testing {
namespace {

/// What is given to the device, as sim::Work counts it, copies both ways together. CUB's algorithms
/// are among the launches of the stream and no kernels of the simulation.
struct Given {
  std::int64_t launches = 0;
  std::int64_t copies = 0;
  std::int64_t waits = 0;

  bool operator==(const Given&) const = default;
};

void PrintTo(const Given& given, std::ostream* out) {
  *out << given.launches << " launches, " << given.copies << " copies, " << given.waits << " waits";
}

class SimBenchCounts : public SimTest {
 protected:
  void SetUp() override {
    SimTest::SetUp();
    sim::reset_device({.guard = false});
  }

  template <class Call>
  static Given given(Stream<Cuda>& stream, const Call& call) {
    call();
    const sim::Work before = sim::work();
    const std::int64_t launches = stream.launches();
    call();
    const sim::Work after = sim::work();
    return {stream.launches() - launches,
            after.copies_to_device - before.copies_to_device + after.copies_to_host -
                before.copies_to_host,
            after.waits - before.waits};
  }
};

TEST_F(SimBenchCounts, OfCallsOnOneTable) {
  Stream<Cuda> stream(0);
  TableCalls<Cuda> calls(stream, {.dim = 8, .capacity = 256, .call = 32});
  while (calls.bring_new(128) > 0) {
    calls.insert_new();
  }
  calls.draw();
  EXPECT_EQ(given(stream, [&] { calls.find(0); }), (Given{3, 5, 2}));
  EXPECT_EQ(given(stream, [&] { calls.find_or_insert(0); }), (Given{6, 7, 4}));
  EXPECT_EQ(given(stream, [&] { calls.lookup(0); }), (Given{4, 10, 2}));
  EXPECT_EQ(given(stream, [&] { calls.update(0); }), (Given{4, 8, 2}));
  std::int64_t rows = 128;  // one of the copies brings the keys, which is not timed
  EXPECT_EQ(given(stream,
                  [&] {
                    rows += 32;
                    calls.bring_new(rows);
                    calls.insert_new();
                  }),
            (Given{22, 27, 8}));
}

/// Steps of ten tables whose ids all have rows.
Given given_by_step(const Optimizer& optimizer, bool training) {
  const IdBatches batches = workload_p({.samples = 32, .features = 10, .rows = 50, .steps = 1});
  OneRank communicator;
  Stream<Cuda> stream(0);
  SparseOptions options;
  options.dim = 8;
  options.optimizer = optimizer;
  options.table_per_feature = true;
  SparseStep<Cuda> step(communicator, stream, batches, options);
  step.train(0);
  step.train(0);
  const sim::Work before = sim::work();
  const std::int64_t launches = stream.launches();
  training ? step.train(0) : step.lookup(0);
  const sim::Work after = sim::work();
  return {stream.launches() - launches,
          after.copies_to_device - before.copies_to_device + after.copies_to_host -
              before.copies_to_host,
          after.waits - before.waits};
}

TEST_F(SimBenchCounts, OfStepsOfTenTables) {
  EXPECT_EQ(given_by_step(Sgd{}, false), (Given{22, 31, 8}));
  EXPECT_EQ(given_by_step(Sgd{}, true), (Given{29, 52, 12}));
  EXPECT_EQ(given_by_step(Adam{}, true), (Given{29, 52, 12}));
}

TEST_F(SimBenchCounts, OfTheDedupOfTenTables) {
  const IdBatches batches = workload_p({.samples = 32, .features = 10, .rows = 50, .steps = 1});
  Stream<Cuda> stream(0);
  const Buffer<Key, Cuda> keys = to_device(stream, batches.keys);
  std::vector<std::uint16_t> tables;
  for (std::int64_t i = 0; i < batches.bags(); ++i) {
    tables.push_back(static_cast<std::uint16_t>(i % 10));
  }
  const Buffer<std::uint16_t, Cuda> device_tables = to_device(stream, tables);
  const std::vector<Partitioner> partitioners(10, partitioner_of("hash", "table"));
  EXPECT_EQ(given(stream,
                  [&] {
                    dedup(stream, Occurrences{.keys = keys.span(),
                                              .tables = device_tables.data(),
                                              .partitioners = partitioners});
                  }),
            (Given{13, 6, 4}));
}

}  // namespace
}  // namespace keyshard::testing
