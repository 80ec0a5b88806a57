// Distinct keys against std::map, for every number of threads, ranks and tables.
#include "embedding/rows/dedup.hpp"

#include <map>

#include <gtest/gtest.h>

#include "runtime/runs.hpp"
#include "runtime/stream.hpp"
#include "tests/support/counts.hpp"

namespace keyshard {
namespace {

struct Case {
  std::vector<Key> keys;
  std::vector<std::uint16_t> tables;
  std::vector<Partitioner> partitioners;
  TableOwners owners;

  Occurrences occurrences() const {
    return {.keys = keys,
            .tables = partitioners.size() == 1 ? nullptr : tables.data(),
            .partitioners = partitioners,
            .owners = &owners};
  }
};

Case make_case(std::uint64_t n, std::uint64_t values, std::uint64_t tables, std::int64_t ranks) {
  Case c{{}, {}, {}, TableOwners(ranks, static_cast<std::int64_t>(tables))};
  for (std::uint64_t table = 0; table < tables; ++table) {
    c.partitioners.push_back(
        partitioner_of("hash", std::string(1, static_cast<char>('a' + table))));
  }
  for (std::uint64_t i = 0; i < n; ++i) {
    c.keys.push_back(mix64(i) % values);
    c.tables.push_back(static_cast<std::uint16_t>(mix64(i + n) % tables));
  }
  return c;
}

/// Everything that the header promises of a result.
void expect_distinct(const Case& c, const Distinct<Cpu>& distinct) {
  const auto tables = static_cast<std::int64_t>(c.partitioners.size());
  std::map<std::pair<std::uint16_t, Key>, std::vector<std::uint32_t>> expected;
  for (std::uint32_t i = 0; i < c.keys.size(); ++i) {
    expected[{c.tables[i], c.keys[i]}].push_back(i);
  }
  ASSERT_EQ(distinct.size(), static_cast<std::int64_t>(expected.size()));
  ASSERT_EQ(static_cast<std::int64_t>(distinct.blocks.size()), c.owners.ranks() * tables + 1);
  for (std::int64_t block = 0; block < c.owners.ranks() * tables; ++block) {
    const auto table = static_cast<std::uint16_t>(block % tables);
    const auto b = static_cast<std::size_t>(block);
    for (std::int64_t u = distinct.blocks[b]; u < distinct.blocks[b + 1]; ++u) {
      const std::uint32_t shard = shard_of(c.partitioners[table], distinct.keys[u]);
      EXPECT_EQ(c.owners.of_table(table).owner(shard), block / tables);
      const std::vector<std::uint32_t> found(distinct.occurrences.data() + distinct.offsets[u],
                                             distinct.occurrences.data() + distinct.offsets[u + 1]);
      const std::pair<std::uint16_t, Key> key{table, distinct.keys[u]};
      EXPECT_EQ(found, expected[key]);
      for (const std::uint32_t i : found) {
        EXPECT_EQ(distinct.inverse[i], static_cast<std::uint32_t>(u));
      }
    }
  }
}

TEST(Dedup, GroupsTheOccurrencesOfEveryKey) {
  for (const std::uint64_t n : {0, 1, 100, 20'000}) {
    for (const std::uint64_t values : {1, 50, 15'000}) {
      for (const std::uint64_t tables : {1, 3}) {
        for (const std::int64_t ranks : {1, 2, 5}) {
          Stream<Cpu> stream(2, 0);
          const Case c = make_case(n, values, tables, ranks);
          expect_distinct(c, dedup(stream, c.occurrences()));
        }
      }
    }
  }
}

/// Owners of three tables that are dealt to five ranks in different ways.
TableOwners different_owners() {
  return TableOwners(std::vector<ShardOwners>{ShardOwners(5, kShards, {3}), ShardOwners(5, kShards),
                                              ShardOwners(5, kShards, {4, 0, 2})});
}

TEST(Dedup, AsksTheOwnersOfEachTable) {
  for (const std::uint64_t n : {0, 1, 100, 60'000}) {
    for (const int threads : {1, 2}) {
      Stream<Cpu> stream(threads, 0);
      Case c = make_case(n, 15'000, 3, 5);
      c.owners = different_owners();
      expect_distinct(c, dedup(stream, c.occurrences()));
    }
  }
}

TEST(Dedup, TellsTablesApartByBlocks) {
  const std::vector<std::vector<std::int64_t>> plans{
      {0, 0, 0, 0},                         // nothing
      {0, 700, 700, 1000},                  // a block without occurrences
      {0, 1, 5000, 5001, 9000, 9000, 9900}  // two ranks, each with three tables
  };
  for (const std::vector<std::int64_t>& blocks : plans) {
    for (const int threads : testing::thread_counts({1, 2, 3})) {
      Stream<Cpu> stream(threads, 0);
      Case c = make_case(static_cast<std::uint64_t>(blocks.back()), 400, 3, 1);
      for (std::size_t b = 0; b + 1 < blocks.size(); ++b) {
        for (std::int64_t i = blocks[b]; i < blocks[b + 1]; ++i) {
          c.tables[static_cast<std::size_t>(i)] = static_cast<std::uint16_t>(b % 3);
        }
      }
      expect_distinct(
          c, dedup(stream,
                   Occurrences{.keys = c.keys, .blocks = blocks, .partitioners = c.partitioners}));
    }
  }
}

TEST(Dedup, DoesNotDependOnTheNumberOfThreads) {
  const Case c = make_case(30'000, 9'000, 2, 3);
  Stream<Cpu> one(1);
  const Distinct<Cpu> expected = dedup(one, c.occurrences());
  for (const int threads : testing::thread_counts({2, 3, 7})) {
    Stream<Cpu> stream(threads, 0);
    const Distinct<Cpu> found = dedup(stream, c.occurrences());
    EXPECT_TRUE(std::equal(found.keys.span().begin(), found.keys.span().end(),
                           expected.keys.span().begin(), expected.keys.span().end()));
    EXPECT_TRUE(std::equal(found.occurrences.span().begin(), found.occurrences.span().end(),
                           expected.occurrences.span().begin(), expected.occurrences.span().end()));
  }
}

}  // namespace
}  // namespace keyshard
