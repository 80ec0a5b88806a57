// Distinct keys on a device against std::map.
#include "embedding/rows/dedup.hpp"

#include <map>

#include "runtime/error.hpp"
#include "runtime/runs.hpp"
#include "tests/sim/sim_test.hpp"
#include "tests/support/own_rules.hpp"

namespace keyshard {
namespace {

using testing::for_seeds;
using DedupOfDevice = testing::SimTest;

struct Case {
  std::vector<Key> keys;
  std::vector<std::uint16_t> tables;
  std::vector<Partitioner> partitioners;
  TableOwners owners;
};

/// `n` occurrences of at most `values` keys, the largest and the smallest among them.
Case make_case(std::uint64_t n, std::uint64_t values, std::uint64_t tables, std::int64_t ranks) {
  Case c{{}, {}, {}, TableOwners(ranks, static_cast<std::int64_t>(tables))};
  for (std::uint64_t table = 0; table < tables; ++table) {
    c.partitioners.push_back(partitioner_of(table % 2 == 0 ? "hash" : "modulo", "table"));
  }
  for (std::uint64_t i = 0; i < n; ++i) {
    c.keys.push_back(mix64(i) % values - values / 2);
    c.tables.push_back(static_cast<std::uint16_t>(mix64(i + n) % tables));
  }
  return c;
}

/// Everything that the header promises of a result.
void expect_distinct(Stream<Cuda>& stream, const Case& c, const Distinct<Cuda>& distinct) {
  const auto tables = static_cast<std::int64_t>(c.partitioners.size());
  std::map<std::pair<std::uint16_t, Key>, std::vector<std::uint32_t>> expected;
  for (std::uint32_t i = 0; i < c.keys.size(); ++i) {
    expected[{c.tables[i], c.keys[i]}].push_back(i);
  }
  ASSERT_EQ(distinct.size(), std::ssize(expected));
  ASSERT_EQ(std::ssize(distinct.blocks), c.owners.ranks() * tables + 1);
  const std::vector<Key> keys = to_host(stream, distinct.keys);
  const std::vector<std::uint32_t> inverse = to_host(stream, distinct.inverse);
  const std::vector<std::uint32_t> offsets = to_host(stream, distinct.offsets);
  const std::vector<std::uint32_t> occurrences = to_host(stream, distinct.occurrences);
  ASSERT_EQ(offsets.size(), expected.size() + 1);
  ASSERT_EQ(inverse.size(), c.keys.size());
  EXPECT_EQ(offsets.back(), c.keys.size());
  for (std::int64_t block = 0; block < c.owners.ranks() * tables; ++block) {
    const auto table = static_cast<std::uint16_t>(block % tables);
    const auto b = static_cast<std::size_t>(block);
    std::uint32_t first_before = 0;
    for (std::int64_t at = distinct.blocks[b]; at < distinct.blocks[b + 1]; ++at) {
      const auto u = static_cast<std::size_t>(at);
      const std::uint32_t shard = shard_of(c.partitioners[table], keys[u]);
      EXPECT_EQ(c.owners.of_table(table).owner(shard), block / tables);
      const std::vector<std::uint32_t> found(occurrences.begin() + offsets[u],
                                             occurrences.begin() + offsets[u + 1]);
      const std::pair<std::uint16_t, Key> key{table, keys[u]};
      EXPECT_EQ(found, expected[key]);
      EXPECT_TRUE(at == distinct.blocks[b] || found.front() > first_before)
          << "expected keys in the order of their first occurrences";
      first_before = found.front();
      for (const std::uint32_t i : found) {
        EXPECT_EQ(inverse[i], u);
      }
    }
  }
}

TEST_F(DedupOfDevice, GroupsTheOccurrencesOfEveryKey) {
  for_seeds(20, [](int seed) {
    Stream<Cuda> stream(0);
    for (const std::uint64_t n : {0, 1, 31, 32, 33, 1000}) {
      const std::uint64_t values = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 50 : 100'000;
      for (const std::uint64_t tables : {1, 3}) {
        const Case c = make_case(n, values, tables, seed % 2 == 0 ? 1 : 5);
        const Buffer<Key, Cuda> keys = to_device(stream, c.keys);
        const Buffer<std::uint16_t, Cuda> of_tables = to_device(stream, c.tables);
        expect_distinct(
            stream, c,
            dedup(stream, Occurrences{.keys = keys.span(),
                                      .tables = tables == 1 ? nullptr : of_tables.data(),
                                      .partitioners = c.partitioners,
                                      .owners = &c.owners}));
      }
    }
  });
}

/// Owners of three tables that are dealt to five ranks in different ways.
TableOwners different_owners() {
  return TableOwners(std::vector<ShardOwners>{ShardOwners(5, kShards, {3}), ShardOwners(5, kShards),
                                              ShardOwners(5, kShards, {4, 0, 2})});
}

TEST_F(DedupOfDevice, AsksTheOwnersOfEachTable) {
  Stream<Cuda> stream(0);
  Case c = make_case(1000, 400, 3, 5);
  c.owners = different_owners();
  const Buffer<Key, Cuda> keys = to_device(stream, c.keys);
  const Buffer<std::uint16_t, Cuda> of_tables = to_device(stream, c.tables);
  expect_distinct(stream, c,
                  dedup(stream, Occurrences{.keys = keys.span(),
                                            .tables = of_tables.data(),
                                            .partitioners = c.partitioners,
                                            .owners = &c.owners}));
}

TEST_F(DedupOfDevice, TellsTablesApartByBlocks) {
  const std::vector<std::vector<std::int64_t>> plans{
      {0, 0, 0, 0},                    // nothing
      {0, 70, 70, 100},                // a block without occurrences
      {0, 1, 500, 501, 900, 900, 990}  // two ranks, each with three tables
  };
  for_seeds(20, [&](int) {
    Stream<Cuda> stream(0);
    for (const std::vector<std::int64_t>& blocks : plans) {
      Case c = make_case(static_cast<std::uint64_t>(blocks.back()), 40, 3, 1);
      for (std::size_t b = 0; b + 1 < blocks.size(); ++b) {
        for (std::int64_t i = blocks[b]; i < blocks[b + 1]; ++i) {
          c.tables[static_cast<std::size_t>(i)] = static_cast<std::uint16_t>(b % 3);
        }
      }
      const Buffer<Key, Cuda> keys = to_device(stream, c.keys);
      expect_distinct(stream, c,
                      dedup(stream, Occurrences{.keys = keys.span(),
                                                .blocks = blocks,
                                                .partitioners = c.partitioners}));
    }
  });
}

TEST_F(DedupOfDevice, ExtremeKeysAreKeys) {
  Stream<Cuda> stream(0);
  Case c{{0, ~Key{0}, 0, Key{1} << 63, ~Key{0}},
         {0, 0, 0, 0, 0},
         {ModuloPartitioner{}},
         TableOwners()};
  const Buffer<Key, Cuda> keys = to_device(stream, c.keys);
  expect_distinct(stream, c,
                  dedup(stream, Occurrences{.keys = keys.span(), .partitioners = c.partitioners}));
}

TEST_F(DedupOfDevice, APartitionerOfAProgramIsRefused) {
  Stream<Cuda> stream(0);
  const std::vector<Partitioner> partitioners{own_partitioner(testing::ByEight{})};
  try {
    dedup(stream, Occurrences{.keys = {}, .partitioners = partitioners});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::not_built);
  }
}

}  // namespace
}  // namespace keyshard
