// Every functor with teams of 8 and 32 lanes against one lane, bit for bit, on sizes about the
// width of a team.
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "embedding/layers/reduce_axis.hpp"
#include "embedding/lookup/bag_functors.hpp"
#include "embedding/lookup/bag_part.hpp"
#include "embedding/lookup/gradient_functors.hpp"
#include "embedding/rows/row_functors.hpp"
#include "embedding/rules/partitioners.hpp"
#include "tests/support/sim_team.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kRows = 5;
constexpr std::int64_t kDims[] = {1, 4, 7, 8, 16, 31, 32, 33, 64, 70};

std::vector<float> random_floats(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) {
    value = uniform(random);
  }
  return values;
}

/// run(functor-runner, memory) writes into memory; all three runs must leave the same bytes.
template <class Run>
void expect_same(std::int64_t floats, const Run& run) {
  std::vector<float> solo = random_floats(floats, 3), eight = solo, warp = solo;
  run(solo, [](std::int64_t n, const auto& functor) {
    for (std::int64_t i = 0; i < n; ++i) {
      functor(i, Solo{});
    }
  });
  run(eight, [](std::int64_t n, const auto& functor) { testing::run_rows<8>(n, functor); });
  run(warp, [](std::int64_t n, const auto& functor) { testing::run_rows<32>(n, functor); });
  EXPECT_EQ(std::memcmp(solo.data(), eight.data(), solo.size() * sizeof(float)), 0) << "8 lanes";
  EXPECT_EQ(std::memcmp(solo.data(), warp.data(), solo.size() * sizeof(float)), 0) << "32 lanes";
}

/// Rows in one slab of plain memory.
RowStoreRef store_over(float*& slab, std::int64_t stride) { return {&slab, stride, 1024, 10}; }

const RowId kIds[kRows] = {3, 0, 4, 1, 2};
const Key kKeys[kRows] = {9, 0, ~Key{0}, 123456789, 7};

template <class O>
void expect_update_same(const O& optimizer) {
  for (const std::int64_t dim : kDims) {
    const std::int64_t stride = 3 * dim;
    const std::vector<float> gradients = random_floats(kRows * dim, 5);
    expect_same(kRows * stride, [&](std::vector<float>& rows, const auto& run) {
      for (float& x : rows) {
        x = std::abs(x);
      }
      float* slab = rows.data();
      run(kRows, UpdateRow<O>{store_over(slab, stride), optimizer, StepScalars{}, kIds, dim, 0, dim,
                              dim, gradients.data()});
    });
  }
}

TEST(Functors, OptimizersHaveTheSameBitsAtEveryWidth) {
  expect_update_same(Sgd{});
  expect_update_same(Momentum{});
  expect_update_same(Adagrad{});
  expect_update_same(RowwiseAdagrad{});
  expect_update_same(Adam{});
  expect_update_same(Ftrl{});
}

/// The functor, which knows usual widths when it is compiled, against the optimizer, which does
/// not.
template <class O>
void expect_update_plain(const O& optimizer) {
  for (const std::int64_t dim : kDims) {
    const std::int64_t stride = 3 * dim;
    const std::vector<float> gradients = random_floats(kRows * dim, 5);
    std::vector<float> rows = random_floats(kRows * stride, 3);
    for (float& x : rows) {
      x = std::abs(x);
    }
    std::vector<float> plain = rows;
    float* slab = rows.data();
    const UpdateRow<O> functor{
        store_over(slab, stride), optimizer, StepScalars{}, kIds, dim, 0, dim, dim,
        gradients.data()};
    for (std::int64_t i = 0; i < kRows; ++i) {
      functor(i, Solo{});
      float* row = plain.data() + kIds[i] * stride;
      optimizer.update(Solo{}, row, row + dim, gradients.data() + i * dim, dim, StepScalars{});
    }
    EXPECT_EQ(std::memcmp(rows.data(), plain.data(), rows.size() * sizeof(float)), 0) << dim;
  }
}

TEST(Functors, OptimizersHaveTheSameBitsWhetherTheWidthIsKnownOrNot) {
  expect_update_plain(Sgd{});
  expect_update_plain(Momentum{});
  expect_update_plain(Adagrad{});
  expect_update_plain(RowwiseAdagrad{});
  expect_update_plain(Adam{});
  expect_update_plain(Ftrl{});
}

template <class I>
void expect_initial_same(const I& initializer) {
  for (const std::int64_t dim : kDims) {
    expect_same(2 * kRows * dim, [&](std::vector<float>& memory, const auto& run) {
      float* slab = memory.data();
      run(kRows, InitializeRow<I>{store_over(slab, dim), initializer, 11, kKeys, kIds, 0, dim});
      const RowId rows[kRows] = {3, kNoRow, 4, kNoRow, 2};
      run(kRows, ReadRow<I>{store_over(slab, dim), initializer, 11, false, kKeys, rows, dim, 0, dim,
                            memory.data() + kRows * dim});
    });
  }
}

TEST(Functors, InitialValuesAndReadsHaveTheSameBitsAtEveryWidth) {
  const std::vector<float> constants = random_floats(70, 9);
  expect_initial_same(Constant{0.5f});
  expect_initial_same(ConstantVector{constants.data()});
  expect_initial_same(Uniform{});
  expect_initial_same(Normal{});
  expect_initial_same(TruncatedNormal{});
}

TEST(Functors, StatesAndShrinkingHaveTheSameBitsAtEveryWidth) {
  for (const std::int64_t dim : kDims) {
    expect_same(2 * kRows * dim, [&](std::vector<float>& memory, const auto& run) {
      float* slab = memory.data();
      run(kRows, InitializeState{store_over(slab, dim), kIds, dim / 2, dim - dim / 2, 0.25f});
      const std::uint32_t counts[kRows] = {1, 2, 3, 4, 5};
      run(kRows, ShrinkRow{store_over(slab, dim), kIds, dim, 0, dim, memory.data() + kRows * dim,
                           counts, 0.1f, 0.01f});
    });
  }
}

template <class P>
void expect_finds_same(const P& partitioner) {
  KeyIndex index({0, kShards}, 5);
  std::vector<Key> keys;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const Key key =
        i % 2 == 0 ? Key{i} * 1024 : ~Key{i};  // by modulo many in one shard: buckets overflow
    keys.push_back(key);
    if (i % 3 != 0) {
      index.insert(key, partitioner.shard(key), i);
    }
  }
  std::vector<RowId> solo(keys.size()), eight(keys.size()), warp(keys.size());
  const auto find = [&](std::vector<RowId>& rows) {
    return FindRow<P>{index.ref(), partitioner, keys.data(), rows.data()};
  };
  const auto n = static_cast<std::int64_t>(keys.size());
  for (std::int64_t i = 0; i < n; ++i) {
    find(solo)(i, Solo{});
    EXPECT_EQ(solo[static_cast<std::size_t>(i)], i % 3 != 0 ? static_cast<RowId>(i) : kNoRow);
  }
  testing::run_rows<8>(n, find(eight));
  testing::run_rows<32>(n, find(warp));

  EXPECT_EQ(eight, solo);
  EXPECT_EQ(warp, solo);
}

TEST(Functors, FindGivesTheSameRowsAtEveryWidth) {
  expect_finds_same(ModuloPartitioner{});
  expect_finds_same(HashPartitioner{});
  expect_finds_same(HashPartitioner{0x9e3779b97f4a7c15});
}

TEST(Functors, WhatAFreeSlotHappensToHoldHidesNoKey) {
  KeyBucket bucket{{42, 7, 42, 9, 7}, {5, 8, 8, 8, 8}, 1, 0};
  const KeySegment segment{&bucket, 1, 1};
  const KeyIndexRef index{&segment, 0, 0};
  const auto expect_found = [&](const auto& team) {
    EXPECT_EQ(KeyIndexRef::find(team, 42, index.home_of(42, 0)), 5u);
    EXPECT_EQ(KeyIndexRef::find(team, 7, index.home_of(7, 0)), kNoRow);
  };
  expect_found(Solo{});
  testing::run_team<2>(expect_found);
  testing::run_team<8>(expect_found);
}

/// Four bags of one feature over six rows; shards so that two rows share one, and two nodes.
struct Bags {
  std::vector<std::uint32_t> items{0, 3, 1, 5, 2, 2, 4};
  std::vector<std::int64_t> offsets{0, 3, 3, 4, 7};
  std::vector<std::uint16_t> shards{1, 1, 5, 9, 20, 900};
  std::vector<std::uint16_t> node_of_shard = std::vector<std::uint16_t>(kShards, 0);

  Bags() { std::fill(node_of_shard.begin() + 512, node_of_shard.end(), std::uint16_t{512}); }
};

/// Where the bags are pooled to, in one piece of memory.
struct PooledBags {
  std::int64_t dim;
  float* pooled;   // [4 x dim]
  float* kept;     // [4 x 2 dim]
  float* answers;  // [8 x 2 dim]

  static std::int64_t floats(std::int64_t columns) { return (4 + 12 * 2) * columns; }

  PooledBags(std::int64_t columns, float* memory)
      : dim(columns), pooled(memory), kept(memory + 4 * dim), answers(kept + 4 * 2 * dim) {}
};

template <class C, class Run>
void pool_bags(const Bags& bags, const std::vector<float>& values, const PooledBags& out,
               const Run& run) {
  const std::int64_t dim = out.dim;
  run(4, PoolBag<C, 4>{{values.data(), {dim, nullptr}, nullptr},
                       bags.items.data(),
                       {bags.offsets.data()},
                       1,
                       0,
                       0,
                       dim,
                       {out.pooled, 4, dim, dim},
                       0,
                       bags.shards.data(),
                       out.kept,
                       2 * dim,
                       0});
}

template <class C, class Run>
void reduce_and_merge_bags(const Bags& bags, const std::vector<float>& values,
                           const PooledBags& out, const Run& run) {
  const std::int64_t dim = out.dim, states = 2 * dim;
  const BagPart parts[] = {{0, 0, 0, 0, 3, 0, 0, 0, 0}, {3, 0, 0, 1, 3, 0, 4, 2 * states, 0}};
  const std::int64_t blocks[] = {0, 6}, bases[] = {0, 8 * states}, starts[] = {0, 1, 1, 1, 2};
  const std::int64_t floats =
      dim * static_cast<std::int64_t>(sizeof(typename C::State) / sizeof(float));
  run(2, ReducePart<C, 4>{parts, bags.items.data(), blocks, nullptr, bags.shards.data(),
                          bags.node_of_shard.data(), values.data(), 0, dim, 0, dim, floats, 0,
                          bases, out.answers});
  run(4, MergeParts<C, 4>{parts,
                          starts,
                          bases,
                          out.answers,
                          bags.items.data(),
                          bags.shards.data(),
                          bags.node_of_shard.data(),
                          {bags.offsets.data()},
                          1,
                          0,
                          floats,
                          0,
                          dim,
                          {out.pooled, 4, dim, dim},
                          0,
                          out.kept,
                          states,
                          0});
}

template <class C>
void expect_bags_same() {
  const Bags bags;
  for (const std::int64_t dim : kDims) {
    const std::vector<float> values = random_floats(6 * dim, 21);
    expect_same(PooledBags::floats(dim), [&](std::vector<float>& memory, const auto& run) {
      const PooledBags out(dim, memory.data());
      pool_bags<C>(bags, values, out, run);
      reduce_and_merge_bags<C>(bags, values, out, run);
    });
  }
}

TEST(Functors, PoolingReducingAndMergingHaveTheSameBitsAtEveryWidth) {
  expect_bags_same<Sum>();
  expect_bags_same<Mean>();
  expect_bags_same<SqrtN>();
  expect_bags_same<Min>();
  expect_bags_same<Max>();
}

/// Three keys with six occurrences, of one feature, in four slices of two nodes.
struct Occurrences6 {
  std::vector<std::uint32_t> key_offsets{0, 3, 4, 6}, occurrences{0, 2, 5, 1, 3, 4};
  std::vector<std::uint16_t> slice_of{0, 0, 1, 2, 2, 3}, node_of{0, 0, 2, 2};
  std::int64_t dim;
  GradientColumn column;
  std::vector<float> upstream = random_floats(6 * dim, 2), values = random_floats(3 * dim, 4);
  std::vector<std::int64_t> offsets{0, 2 * dim, 3 * dim};

  Occurrences6(std::int64_t columns, CombinerKind kind) : dim(columns), column{kind, 0, -1} {}

  SumOccurrences<4> sum(bool sums, float* partials) const {
    return {key_offsets.data(),
            occurrences.data(),
            nullptr,
            {nullptr},
            1,
            slice_of.data(),
            node_of.data(),
            &column,
            sums,
            {upstream.data(), 6, dim, dim},
            nullptr,
            0,
            values.data(),
            {dim, nullptr},
            0,
            dim,
            dim,
            partials,
            {0, offsets.data()}};
  }
};

TEST(Functors, TermsOfSumsAreTheUpstreamGradients) {
  for (const std::int64_t dim : kDims) {
    const Occurrences6 in(dim, 0);
    std::vector<float> partials[2];
    for (const bool sums : {false, true}) {
      std::vector<float>& out = partials[sums ? 1 : 0];
      out.resize(static_cast<std::size_t>(8 * dim));
      const SumOccurrences<4> functor = in.sum(sums, out.data());
      for (std::int64_t u = 0; u < 3; ++u) {
        functor(u, Solo{});
      }
    }
    EXPECT_EQ(partials[0], partials[1]);
  }
}

TEST(Functors, GradientsOfKeysHaveTheSameBitsAtEveryWidth) {
  for (const std::int64_t dim : kDims) {
    const Occurrences6 in(dim, 1);
    expect_same(8 * dim, [&](std::vector<float>& memory, const auto& run) {
      run(3, in.sum(false, memory.data()));
      const std::uint16_t ranks[] = {0, 0, 0}, nodes[32] = {0, 2};
      const std::uint32_t masks[] = {3, 1, 1};
      const std::int64_t terms[] = {0, 1, 1, 2};
      const OwnerTerm owned[] = {{3, 0, dim}, {3, 0, 0}};
      run(3, FoldKey<4>{nullptr, nullptr, ranks, masks, in.offsets.data(), nodes, terms, owned,
                        in.upstream.data(), &in.column, in.values.data(), 0, dim, 0, dim,
                        memory.data() + 5 * dim});
    });
  }
}

TEST(Functors, UpstreamGradientsHaveTheSameBitsAtEveryWidth) {
  for (const std::int64_t dim : kDims) {
    const Occurrences6 in(dim, 0);
    expect_same(8 * dim, [&](std::vector<float>& memory, const auto& run) {
      run(3, in.sum(true, memory.data()));
    });
  }
}

template <class C>
void expect_reduced_same() {
  for (const std::int64_t columns : kDims) {
    const std::vector<float> in = random_floats(2 * 3 * columns, 8),
                             upstream = random_floats(2 * columns, 9);
    expect_same(8 * columns, [&](std::vector<float>& memory, const auto& run) {
      const ReduceAxis<C> forward{in.data(), 3, columns, memory.data()};
      run(2, forward);
      run(2, ReduceAxisGradient<C>{forward, upstream.data(), memory.data() + 2 * columns});
    });
  }
}

TEST(Functors, ReductionsOfAnAxisHaveTheSameBitsAtEveryWidth) {
  expect_reduced_same<Sum>();
  expect_reduced_same<Mean>();
  expect_reduced_same<SqrtN>();
  expect_reduced_same<Min>();
  expect_reduced_same<Max>();
}

}  // namespace
}  // namespace keyshard
