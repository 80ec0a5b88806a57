// Functors of rows with teams of 8 and 32 lanes against one lane, bit for bit, for every rule.
#include "embedding/rows/row_functors.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include <gtest/gtest.h>

#include "embedding/rows/restrict_impl.hpp"
#include "embedding/rows/row_stages_impl.hpp"
#include "embedding/rows/table.hpp"
#include "embedding/rows/table_impl.hpp"
#include "embedding/rows/update_row.hpp"
#include "tests/support/lanes.hpp"

namespace keyshard {
namespace {

using testing::Bits;
using testing::expect_same_bits;
using testing::for_alternatives;
using testing::kDims;
using testing::Lanes;
using testing::random_floats;

constexpr std::int64_t kRows = 5;
const RowId kIds[kRows] = {3, 0, 4, 1, 2};
const Key kKeys[kRows] = {9, 0, ~Key{0}, 123456789, 7};
/// Some of the keys have no row.
const RowId kFound[kRows] = {3, kNoRow, 4, kNoRow, 2};

/// A table as functors see it, one step begun, whose rows lie in plain memory.
struct PlainTable {
  Table<Cpu> table;
  std::vector<GroupRef> groups;
  std::vector<float> rows;
  std::vector<float> statuses;
  float* slab;
  TableRef ref;

  /// Rows with numbers in [0, 1): the states of some optimizers are not negative.
  explicit PlainTable(const TableOptions& options)
      : table(options, {0, kShards}),
        rows(random_floats(kRows * table.layout().stride, 3)),
        statuses(kRows, std::bit_cast<float>(6u)),
        slab(rows.data()) {
    std::transform(rows.begin(), rows.end(), rows.begin(), [](float x) { return std::abs(x); });
    table.add_group_refs(groups);
    table.begin_step({.learning_rate_scale = 0.5f, .valid_samples = 4}, groups.data());
    ref = table.ref(groups.data());
    ref.store = {
        .slabs = {slab}, .stride = table.layout().stride, .first_rows = 1024, .first_bits = 10};
    ref.status.store = {
        .slabs = {statuses.data()}, .stride = 1, .first_rows = 1024, .first_bits = 10};
  }
};

/// A table whose first group is given; the second one has 3 columns, and both are regularized.
TableOptions options_of(std::int64_t dim, const Initializer& initializer,
                        const Optimizer& optimizer) {
  const Regularization decays{.l2 = 0.1f, .l2_per_occurrence = false, .weight_decay = 0.01f};
  const Regularization counts{.l2 = 0.1f, .l2_per_occurrence = true, .weight_decay = 0};
  TableOptions options;
  options.name = "items";
  options.seed = 11;
  options.restrict_policy = Frequency{};
  options.groups = {{.name = "values",
                     .dim = dim,
                     .initializer = initializer,
                     .constant = {},
                     .optimizer = optimizer,
                     .regularization = decays},
                    {.name = "linear",
                     .dim = 3,
                     .initializer = Uniform{},
                     .constant = {},
                     .optimizer = Ftrl{},
                     .regularization = counts}};
  return options;
}

/// Expects the same rows and gradients after a step by teams of every width, with the clips of
/// `clips` beside the regularization of the first group, and max_norm of both.
template <class O>
void expect_same_steps(const O& optimizer, const Regularization& clips = {}, double max_norm = 0) {
  SCOPED_TRACE(optimizer.kName);
  for (const std::int64_t dim : kDims) {
    expect_same_bits([&](const Lanes& lanes) {
      TableOptions options = options_of(dim, Normal{}, optimizer);
      options.groups[0].regularization.clip_value = clips.clip_value;
      options.groups[0].regularization.clip_norm = clips.clip_norm;
      options.groups[0].max_norm = options.groups[1].max_norm = max_norm;
      PlainTable table(options);
      const std::uint32_t occurrences[kRows] = {1, 2, 3, 4, 5};
      std::vector<float> gradients = random_floats(kRows * table.ref.dim, 5);
      lanes.rows(
          kRows,
          UpdateRow<O>(table.ref, table.groups[0], optimizer,
                       {.rows = kIds, .gradients = gradients.data(), .occurrences = occurrences}));
      EXPECT_EQ(table.statuses, std::vector<float>(kRows, std::bit_cast<float>(7u)));
      Bits bits;
      bits.add(table.rows);
      bits.add(gradients);
      return bits;
    });
  }
}

TEST(RowFunctors, OptimizersHaveTheSameBitsAtEveryWidth) {
  for_alternatives<BuiltInOptimizer>([](auto optimizer) { expect_same_steps(optimizer); });
  expect_same_steps(RmsProp{.momentum = 0.5f, .centered = true});
}

TEST(RowFunctors, ClippedGradientsHaveTheSameBitsAtEveryWidth) {
  expect_same_steps(Sgd{}, {.clip_value = 0.9f, .clip_norm = 0.5f});
}

TEST(RowFunctors, LimitedRowsHaveTheSameBitsAtEveryWidth) {
  for (const double max_norm : {0.25, 2.0}) {
    expect_same_steps(Sgd{}, {.clip_norm = 0.5f}, max_norm);
    expect_same_steps(Adam{0.1f}, {}, max_norm);
  }
}

/// Expects of a step of the rule alone, by teams of every width, what the rule does to rows of a
/// width that it does not know; `bare`: the table keeps no status, either.
template <class O>
void expect_steps_of_rule(const O& optimizer, std::int64_t dim, bool bare) {
  expect_same_bits([&](const Lanes& lanes) {
    TableOptions options = options_of(dim, Normal{}, optimizer);
    options.restrict_policy = bare ? RestrictPolicy(KeepAll{}) : Frequency{};
    options.groups.resize(1);
    options.groups[0].regularization = {};
    PlainTable table(options);
    EXPECT_TRUE(table.ref.has_rule_alone(table.groups[0]));
    EXPECT_EQ(table.ref.status.traced(), !bare);
    std::vector<float> gradients = random_floats(kRows * dim, 5);
    std::vector<float> plain = table.rows;
    for (std::int64_t i = 0; i < kRows; ++i) {
      float* row = plain.data() + kIds[i] * table.ref.store.stride;
      const float* g = gradients.data() + i * dim;
      optimizer.update(Solo{}, row, row + dim, g, dim, table.groups[0].step);
    }
    lanes.rows(kRows, UpdateRow<O>(table.ref, table.groups[0], optimizer,
                                   {.rows = kIds, .gradients = gradients.data()}));
    EXPECT_EQ(std::memcmp(table.rows.data(), plain.data(), plain.size() * sizeof(float)), 0);
    Bits bits;
    bits.add(table.rows);
    return bits;
  });
}

TEST(RowFunctors, OptimizersHaveTheSameBitsWhetherTheWidthIsKnownOrNot) {
  for_alternatives<BuiltInOptimizer>([](auto optimizer) {
    for (const std::int64_t dim : kDims) {
      for (const bool bare : {true, false}) {
        SCOPED_TRACE(::testing::Message() << optimizer.kName << ", " << dim << ", bare " << bare);
        expect_steps_of_rule(optimizer, dim, bare);
      }
    }
  });
}

TEST(RowFunctors, RegularizationIsThatOfItsDefinition) {
  TableOptions options = options_of(1, Normal{}, Sgd{});
  options.groups[1].optimizer = Sgd{};
  PlainTable table(options);
  table.rows = std::vector<float>(table.rows.size(), 2.0f);
  table.ref.store.slabs[0] = table.rows.data();
  std::vector<float> gradients(4, 0.5f);
  const RowId row = 0;
  const std::uint32_t occurrences = 3;
  UpdateRow<Sgd>(table.ref, table.groups[0], Sgd{},
                 {.rows = &row, .gradients = gradients.data(), .occurrences = &occurrences})(
      0, Solo{});
  // Of the first group lambda w, of the second one lambda (occurrences / valid samples) w.
  EXPECT_EQ(gradients[0], 0.5f + 0.1f * 2);
  EXPECT_EQ(gradients[1], 0.5f + 0.1f / 4 * 3 * 2);
  // The rate is 0.01 times the factor of the schedule.
  EXPECT_NEAR(table.rows[0], 2 * (1 - 0.005 * 0.01) - 0.005 * 0.7, 1e-6);
  EXPECT_NEAR(table.rows[1], 2 - 0.005 * 0.65, 1e-6);
}

/// A row of one group after a step from `before` by gradient `g`.
template <class O>
std::vector<float> after_step(const O& optimizer, const Regularization& regularization,
                              const std::vector<float>& before, std::vector<float> g) {
  TableOptions options;
  options.name = "items";
  options.groups = {{.name = "values",
                     .dim = static_cast<std::int64_t>(before.size()),
                     .initializer = Normal{},
                     .constant = {},
                     .optimizer = optimizer,
                     .regularization = regularization}};
  PlainTable table(options);
  std::fill(table.rows.begin(), table.rows.end(), 0.0f);
  std::copy(before.begin(), before.end(), table.rows.begin());
  const RowId row = 0;
  UpdateRow<O>(table.ref, table.groups[0], optimizer, {.rows = &row, .gradients = g.data()})(
      0, Solo{});
  return {table.rows.begin(), table.rows.begin() + static_cast<std::int64_t>(before.size())};
}

TEST(RowFunctors, AGradientIsClippedByValueThenByNormBeforeL2) {
  const Sgd rule{2};  // the factor of the schedule is 0.5
  using Row = std::vector<float>;
  const Row zeros(2), ones(2, 1.0f), gradient{3, -4};
  EXPECT_EQ(after_step(rule, {.clip_value = 3.5f}, zeros, gradient), (Row{-3, 3.5f}));
  EXPECT_EQ(after_step(rule, {.clip_norm = 2.5f}, zeros, gradient), (Row{-1.5f, 2}));
  EXPECT_EQ(after_step(rule, {.clip_norm = 5}, zeros, gradient), (Row{-3, 4}));
  EXPECT_EQ(after_step(rule, {.clip_value = 4, .clip_norm = 2.5f}, zeros, {3, -1000}),
            (Row{-1.5f, 2}));
  EXPECT_EQ(after_step(rule, {.l2 = 8, .clip_norm = 2.5f}, ones, gradient),
            (Row{1 - (1.5f + 8), 1 - (-2.0f + 8)}));
  EXPECT_EQ(after_step(rule, {.weight_decay = 0.25f, .clip_norm = 2.5f}, ones, gradient),
            (Row{0.75f - 1.5f, 0.75f + 2}));
}

TEST(RowFunctors, ANormWhoseSquareFitsNoFloatIsClippedAllTheSame) {
  const std::vector<float> found = after_step(Sgd{2}, {.clip_norm = 1}, {0, 0}, {3e38f, -3e38f});
  EXPECT_FLOAT_EQ(found[0], -std::sqrt(0.5f));
  EXPECT_FLOAT_EQ(found[1], std::sqrt(0.5f));
}

TEST(RowFunctors, AdamWHasTheBitsOfAdamWithWeightDecay) {
  for (const std::int64_t dim : kDims) {
    const std::vector<float> before = random_floats(dim, 1), gradient = random_floats(dim, 2);
    EXPECT_EQ(after_step(AdamW{.weight_decay = 0.3f}, {}, before, gradient),
              after_step(Adam{}, {.weight_decay = 0.3f}, before, gradient));
  }
}

/// Numbers of keys that are read, one of them twice.
const std::uint32_t kWhich[] = {4, 1, 1, 0, 2, 3};

/// Reads and locates keys of which some are absent.
void read_and_locate(const PlainTable& table, const Lanes& lanes, bool inference, Bits& bits) {
  const TableRef* tables = &table.ref;
  const std::int64_t dim = table.ref.dim;
  std::vector<float> out(6 * static_cast<std::size_t>(dim)), spare = out;
  std::vector<const float*> places(kRows);
  lanes.rows(6, ReadRow{.table = tables,
                        .keys = kKeys,
                        .rows = kFound,
                        .which = kWhich,
                        .first = 0,
                        .inference = inference,
                        .out = out.data()});
  lanes.rows(kRows, LocateRow{.table = tables,
                              .keys = kKeys,
                              .rows = kFound,
                              .first = 0,
                              .inference = inference,
                              .spare = spare.data(),
                              .places = places.data()});
  for (std::int64_t i = 0; i < kRows; ++i) {
    const float* place = places[static_cast<std::size_t>(i)];
    EXPECT_EQ(place, kFound[i] == kNoRow ? spare.data() + i * dim : table.ref.store.row(kFound[i]));
    bits.add(std::vector<float>(place, place + dim));
  }
  bits.add(out);
}

/// Makes rows, reads and locates keys, and sets rows.
Bits make_read_and_assign(const TableOptions& options, const Lanes& lanes) {
  PlainTable table(options);
  const TableRef* tables = &table.ref;

  visit_variant(table.ref.groups[0].initializer, [&](const auto& initializer) {
    lanes.rows(kRows,
               InitializeRow<std::decay_t<decltype(initializer)>>{
                   .table = tables, .initializer = initializer, .keys = kKeys, .rows = kIds});
  });
  EXPECT_EQ(table.statuses, std::vector<float>(kRows, std::bit_cast<float>(0u)));
  Bits bits;
  bits.add(table.rows);
  table.ref.zeros = true;
  for (const bool inference : {false, true}) {
    read_and_locate(table, lanes, inference, bits);
  }
  const std::vector<float> assigned = random_floats(kRows * table.ref.dim, 8);
  lanes.rows(kRows, AssignRow{tables, kKeys, kIds, assigned.data()});
  bits.add(table.rows);
  return bits;
}

TEST(RowFunctors, InitialValuesAndReadsHaveTheSameBitsAtEveryWidth) {
  const std::vector<float> floats = random_floats(70, 9);
  const std::vector<double> constants(floats.begin(), floats.end());
  for_alternatives<BuiltInInitializer>([&](auto initializer) {
    if constexpr (std::is_same_v<decltype(initializer), ConstantVector>) {
      initializer.values = constants.data();
    }
    for (const std::int64_t dim : kDims) {
      TableOptions options = options_of(dim, initializer, Adam{});
      options.groups[0].max_norm = std::is_same_v<decltype(initializer), Normal> ? 0.1 : 0;
      expect_same_bits([&](const Lanes& lanes) { return make_read_and_assign(options, lanes); });
    }
  });
}

TEST(RowFunctors, AnAbsentKeyReadsAsANewRowOrAsZeros) {
  PlainTable table(options_of(4, Constant{0.5f}, Sgd{}));
  const Key key = 7;
  const RowId none = kNoRow;
  for (const bool zeros : {false, true}) {
    for (const bool inference : {false, true}) {
      table.ref.zeros = zeros;
      std::vector<float> out(7, -1.0f);
      ReadRow{.table = &table.ref,
              .keys = &key,
              .rows = &none,
              .which = nullptr,
              .first = 0,
              .inference = inference,
              .out = out.data()}(0, Solo{});
      initialize(Solo{}, table.ref, key, RowId{2});
      const float* made = table.ref.store.row(2);
      const std::vector<float> row(made, made + 7);
      EXPECT_EQ(row[3], 0.5f);
      EXPECT_EQ(out, zeros && inference ? std::vector<float>(7) : row);
    }
  }
}

TEST(RowFunctors, AMovedRowTakesItsStatusAlong) {
  for (const std::int64_t dim : kDims) {
    expect_same_bits([&](const Lanes& lanes) {
      PlainTable table(options_of(dim, Normal{}, Adam{}));
      for (std::size_t row = 0; row < kRows; ++row) {
        table.statuses[row] = static_cast<float>(row);
      }
      const std::vector<float> before = table.rows;
      const std::uint32_t moving[] = {0, 2}, holes[] = {0, 2};
      RowId rows[] = {3, 1, 4};  // of the three rows that stay
      lanes.rows(2, MoveRow{table.ref, moving, holes, rows});
      EXPECT_EQ(std::vector<RowId>(rows, rows + 3), (std::vector<RowId>{0, 1, 2}));
      EXPECT_EQ(table.statuses, (std::vector<float>{3, 1, 4, 3, 4}));
      const auto row_of = [&](const std::vector<float>& all, std::int64_t row) {
        const auto first = all.begin() + row * table.ref.store.stride;
        return std::vector<float>(first, first + table.ref.store.stride);
      };
      EXPECT_EQ(row_of(table.rows, 0), row_of(before, 3));
      EXPECT_EQ(row_of(table.rows, 2), row_of(before, 4));
      Bits bits;
      bits.add(table.rows);
      return bits;
    });
  }
}

template <class P>
void expect_finds_same(const P& partitioner) {
  KeyIndex<Cpu> index({0, kShards}, 5);
  std::vector<Key> keys;
  std::vector<RowId> expected;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const Key key =
        i % 2 == 0 ? Key{i} * 1024 : ~Key{i};  // by modulo many in one shard: buckets overflow
    keys.push_back(key);
    expected.push_back(i % 3 != 0 ? i : kNoRow);
    if (i % 3 != 0) {
      index.insert(key, partitioner.shard(key), i);
    }
  }
  for (const int width : {1, 8, 32}) {
    std::vector<RowId> found(keys.size());
    Lanes(width).rows(300, FindRow<P>{.index = index.ref(),
                                      .partitioner = partitioner,
                                      .keys = keys.data(),
                                      .rows = found.data()});
    EXPECT_EQ(found, expected) << width << " lanes";
  }
}

TEST(RowFunctors, FindGivesTheSameRowsAtEveryWidth) {
  for_alternatives<BuiltInPartitioner>([](auto partitioner) { expect_finds_same(partitioner); });
  expect_finds_same(HashPartitioner{0x9e3779b97f4a7c15});
}

TEST(RowFunctors, WhatAFreeSlotHappensToHoldHidesNoKey) {
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

}  // namespace
}  // namespace keyshard
