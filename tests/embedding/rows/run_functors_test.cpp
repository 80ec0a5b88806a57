// The functors of several tables, launched as runs, with teams of 8 and 32 lanes against one lane,
// bit for bit. row_functors_test has the functors of one row, row_stages_test the launches on a
// CPU.
#include <algorithm>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "embedding/rows/row_stages_impl.hpp"
#include "embedding/rows/table.hpp"
#include "embedding/rows/table_step_impl.hpp"
#include "tests/support/lanes.hpp"

namespace keyshard {
namespace {

using testing::Bits;
using testing::expect_same_bits;
using testing::Lanes;
using testing::random_floats;

TableOptions options_of(const char* name, std::int64_t dim, const Optimizer& optimizer) {
  TableOptions options;
  options.name = name;
  options.groups = {{.name = "values",
                     .dim = dim,
                     .initializer = Normal{},
                     .constant = {},
                     .optimizer = optimizer,
                     .regularization = {}}};
  return options;
}

/// Of two tables that keep float32.
const WideValues kFloats[2];

/// Two tables of different width and rule, one of them by modulo, with rows for some of the keys.
struct TwoTables {
  static TableOptions by_modulo(TableOptions options) {
    options.partitioner = "modulo";
    return options;
  }

  Stream<Cpu> stream;
  Table<Cpu> wide{options_of("wide", 40, Adam{}), {0, kShards}};
  Table<Cpu> narrow{by_modulo(options_of("narrow", 3, RowwiseAdagrad{})), {0, kShards}};
  std::vector<Table<Cpu>*> all{&wide, &narrow};
  std::vector<Key> keys{5, 7, ~Key{0}, 1024, 2048, 5, 7, 9, 1033};
  std::vector<std::int64_t> starts{0, 5, 5 + 4};
  std::vector<RowId> rows;
  std::int64_t floats = 5 * 40 + 4 * 3;  ///< values of all keys

  TwoTables() : rows(keys.size()) {
    wide.find_or_insert(stream, Span<const Key>(keys).first(3), rows.data());
    narrow.find_or_insert(stream, Span<const Key>(keys).subspan(6, 2), rows.data());
    find_rows(stream, refs(), {keys.data(), starts}, rows.data());
  }

  Span<Table<Cpu>* const> span() const { return all; }

  TableRefs<Cpu> refs() { return {stream, span()}; }
};

TEST(RunFunctors, RowsAreFoundReadAndLocatedTheSameAtEveryWidth) {
  TwoTables tables;
  const TableRefs<Cpu> refs = tables.refs();
  const std::vector<std::int64_t> bases =
      value_bases(refs, Span<const std::int64_t>(tables.starts));
  EXPECT_EQ(std::count(tables.rows.begin(), tables.rows.end(), kNoRow), 4);
  expect_same_bits([&](const Lanes& lanes) {
    std::vector<RowId> rows(tables.keys.size());
    std::vector<float> values(static_cast<std::size_t>(tables.floats)), spare = values;
    std::vector<const float*> places(rows.size());
    lanes.runs(tables.starts, FindRows{refs.data(), tables.keys.data(), rows.data()});
    EXPECT_EQ(rows, tables.rows);
    lanes.runs(tables.starts, ReadRows{.tables = refs.data(),
                                       .keys = tables.keys.data(),
                                       .rows = rows.data(),
                                       .starts = tables.starts.data(),
                                       .bases = bases.data(),
                                       .inference = false,
                                       .out = values.data()});
    lanes.runs(tables.starts, LocateRows{.tables = refs.data(),
                                         .keys = tables.keys.data(),
                                         .rows = rows.data(),
                                         .starts = tables.starts.data(),
                                         .bases = bases.data(),
                                         .inference = false,
                                         .spare = spare.data(),
                                         .places = places.data()});
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(places[i][2], values[static_cast<std::size_t>(i < 5 ? 40 * i : 185 + 3 * i) + 2]);
    }
    Bits bits;
    bits.add(values);
    bits.add(spare);
    return bits;
  });
}

TEST(RunFunctors, MissingRowsAreMadeTheSameAtEveryWidth) {
  expect_same_bits([](const Lanes& lanes) {
    TwoTables tables;
    std::vector<RowId> found = tables.rows;
    const std::vector<RowId> first_new = insert_missing(
        tables.stream, tables.span(), {tables.keys.data(), tables.starts}, found.data());
    EXPECT_EQ(first_new, (std::vector<RowId>{3, 2}));
    EXPECT_EQ(found[3], 3u);
    EXPECT_EQ(found[8], 3u) << "the second new row of the narrow table";
    const TableRefs<Cpu> refs = tables.refs();
    find_rows(tables.stream, refs, {tables.keys.data(), tables.starts}, tables.rows.data());
    EXPECT_EQ(tables.rows, found);
    lanes.runs(tables.starts, InitializeRows{.tables = refs.data(),
                                             .keys = tables.keys.data(),
                                             .rows = tables.rows.data(),
                                             .starts = tables.starts.data(),
                                             .wide = kFloats});
    Bits bits;
    for (std::size_t i = 0; i < tables.rows.size(); ++i) {
      const RowStoreRef& store = refs.data()[i < 5 ? 0 : 1].store;
      const float* row = store.row(tables.rows[i]);
      bits.add(std::vector<float>(row, row + (i < 5 ? 120 : 4)));  // values and states
    }
    return bits;
  });
}

/// Two calls of the wide table, which share a key, and one of the narrow table.
struct ThreeCalls {
  std::vector<Key> keys{5, 7, 7, 9, 7};
  std::vector<RowId> rows{0, 1, 1, 2, 0};
  std::vector<float> values = random_floats(4 * 40 + 3, 6);
  std::vector<std::uint32_t> occurrences{1, 2, 3, 4, 5};
  std::vector<std::int64_t> starts{0, 2, 4, 5};
  std::vector<CallRef> calls;

  ThreeCalls() {
    for (const std::int64_t first : {0, 2, 4}) {
      calls.push_back({.keys = keys.data() + first,
                       .rows = rows.data() + first,
                       .values = values.data() + 40 * first,
                       .occurrences = first == 4 ? nullptr : occurrences.data() + first,
                       .first = first,
                       .dim = first == 4 ? 3 : 40});
    }
  }
};

TEST(RunFunctors, CallsAreJoinedAndSummedTheSameAtEveryWidth) {
  TwoTables tables;
  const TableRefs<Cpu> refs = tables.refs();
  ThreeCalls in;
  // The distinct keys: 5, 7 and 9 of the wide table, 7 of the narrow one.
  const std::vector<std::int64_t> starts{0, 3, 4}, bases{0, 3 * 40};
  const std::vector<std::uint32_t> offsets{0, 1, 3, 4, 5}, terms{0, 1, 2, 3, 4};
  expect_same_bits([&](const Lanes& lanes) {
    std::vector<Key> keys(5);
    std::vector<RowId> rows(5);
    std::vector<const float*> values(5);
    std::vector<std::uint32_t> occurrences(5), counts(4);
    std::vector<float> sums(3 * 40 + 3);
    lanes.runs(in.starts, JoinCalls{.calls = in.calls.data(),
                                    .keys = keys.data(),
                                    .rows = rows.data(),
                                    .values = values.data(),
                                    .occurrences = occurrences.data()});
    EXPECT_EQ(keys, in.keys);
    EXPECT_EQ(rows, in.rows);
    EXPECT_EQ(occurrences, (std::vector<std::uint32_t>{1, 2, 3, 4, 0})) << "not counted: 0";
    lanes.runs(starts, SumCalls{.tables = refs.data(),
                                .starts = starts.data(),
                                .bases = bases.data(),
                                .offsets = offsets.data(),
                                .terms = terms.data(),
                                .values = values.data(),
                                .occurrences = occurrences.data(),
                                .sums = sums.data(),
                                .counts = counts.data()});
    EXPECT_EQ(counts, (std::vector<std::uint32_t>{1, 5, 4, 0}));
    EXPECT_EQ(sums[40 + 1], in.values[40 + 1] + in.values[80 + 1]);
    Bits bits;
    bits.add(sums);
    return bits;
  });
}

/// A step of rows 0 and 2 of the wide table and row 1 of the narrow one, which is that of key 9.
/// Where that row is new, there is no content in it yet.
Bits update_tables(const Lanes& lanes, bool is_new) {
  TwoTables tables;
  const std::vector<RowId> rows{0, 2, 1};
  const std::vector<std::int64_t> starts{0, 2, 3};
  std::vector<float> values = random_floats(2 * 40 + 3, 7);
  const std::vector<CallRef> calls{{nullptr, nullptr, values.data(), nullptr, 0, 40},
                                   {nullptr, nullptr, values.data() + 80, nullptr, 2, 3}};
  const TableRefs<Cpu> refs(tables.stream, tables.span(), {});
  if (is_new) {
    std::fill_n(refs.data()[1].store.row(1), 4, std::numeric_limits<float>::quiet_NaN());
  }
  const std::vector<RowId> first_new{kNoRow, is_new ? 1 : kNoRow};
  const std::vector<Key> keys{5, 7, 9};
  lanes.runs(starts, UpdateRows{.tables = refs.data(),
                                .calls = calls.data(),
                                .keys = keys.data(),
                                .rows = rows.data(),
                                .first_new = first_new.data(),
                                .wide = kFloats});
  Bits bits;
  for (RowId row = 0; row < 3; ++row) {
    const float* values_of_row = refs.data()[0].store.row(row);
    bits.add(std::vector<float>(values_of_row, values_of_row + 120));
  }
  for (RowId row = 0; row < 2; ++row) {
    const float* values_of_row = refs.data()[1].store.row(row);
    bits.add(std::vector<float>(values_of_row, values_of_row + 4));
  }
  return bits;
}

TEST(RunFunctors, TablesAreUpdatedTheSameAtEveryWidth) {
  expect_same_bits([](const Lanes& lanes) { return update_tables(lanes, false); });
}

TEST(RunFunctors, AStepFirstInitializesNewRows) {
  const std::vector<unsigned char> expected = update_tables(Lanes(1), false).bytes();
  for (const int width : {1, 8, 32}) {
    EXPECT_EQ(update_tables(Lanes(width), true).bytes(), expected) << width << " lanes";
  }
}

}  // namespace
}  // namespace keyshard
