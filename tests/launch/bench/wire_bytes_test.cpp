#include "launch/bench/wire_bytes.hpp"

#include <set>

#include <gtest/gtest.h>

#include "launch/bench/counting_communicator.hpp"
#include "launch/bench/sparse_step.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

/// Distinct keys that each rank asks of each owner, by the definition.
std::vector<std::vector<std::int64_t>> asked_keys(const std::vector<IdBatches>& shares,
                                                  const Partitioner& partitioner) {
  const auto ranks = static_cast<std::int64_t>(shares.size());
  std::vector<std::vector<std::int64_t>> asked;
  for (const IdBatches& share : shares) {
    asked.emplace_back(shares.size(), 0);
    const Span<const Key> ids = share.keys_of(0);
    for (const Key key : std::set<Key>(ids.begin(), ids.end())) {
      const std::int64_t owner = owner_of(shard_of(partitioner, key), ranks, kShards);
      ++asked.back()[static_cast<std::size_t>(owner)];
    }
  }
  return asked;
}

class WireBytesOfRanks : public ::testing::TestWithParam<int> {};

TEST_P(WireBytesOfRanks, TheFormulaIsWhatAStepSends) {
  const int ranks = GetParam();
  const IdBatches whole = workload_w1({"", 1, 0});
  std::vector<IdBatches> shares;
  for (int rank = 0; rank < ranks; ++rank) {
    shares.push_back(share_of(whole, rank, ranks));
  }
  testing::run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const auto rank = static_cast<std::size_t>(communicator.rank());
    CountingCommunicator counting(communicator);
    SparseOptions options;
    options.optimizer = bench_adagrad();
    SparseStep<Cpu> step(counting, stream, shares[rank], options);
    const auto asked = asked_keys(shares, step.tables().tables().front()->partitioner());
    const WireBytes formula = wire_bytes(asked, rank, options.dim);
    step.train(0);
    EXPECT_EQ(counting.bytes(), formula.total());
    EXPECT_EQ(step.traffic().bytes, formula.keys + formula.rows);
    EXPECT_EQ(counting.messages(), 4 * (ranks - 1));
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, WireBytesOfRanks, ::testing::Values(1, 2, 4, 8));

TEST(WireBytes, CountsKeysThereAndRowsAndGradientsByHand) {
  // Rank 0 asks rank 1 for 3 keys, rank 1 asks rank 0 for 5; rows of 2 floats.
  const std::vector<std::vector<std::int64_t>> asked{{10, 3}, {5, 20}};
  EXPECT_EQ(wire_bytes(asked, 0, 2), (WireBytes{24, 24, 40, 24}));
  EXPECT_EQ(wire_bytes(asked, 1, 2), (WireBytes{24, 40, 24, 40}));
}

TEST(WireBytes, EvenRanksSendAllButTheirOwnShare) {
  EXPECT_EQ(even_wire_bytes(4, 1000, 16), (WireBytes{72, 6000, 48000, 48000}));
  EXPECT_EQ(even_wire_bytes(1, 1000, 16), (WireBytes{0, 0, 0, 0}));
}

}  // namespace
}  // namespace keyshard
