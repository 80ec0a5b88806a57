// Stages of several tables in one launch, on several threads, against each table alone on one.
#include <algorithm>
#include <limits>
#include <memory>

#include <gtest/gtest.h>

#include "embedding/rows/row_stages_impl.hpp"
#include "runtime/error.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/lanes.hpp"

namespace keyshard {
namespace {

using testing::random_floats;

/// A table of some dim, value dtype and optimizer, with a second group in every other table.
TableOptions options_of(std::size_t number, const Optimizer& optimizer) {
  TableOptions options;
  options.name = "table" + std::to_string(number);
  options.seed = number;
  options.value_dtype = static_cast<ValueDtype>(number / 3 % 3);
  options.partitioner = number % 3 == 1 ? "modulo" : "hash";
  options.missing = number % 3 == 2 ? Missing::zeros : Missing::initial;
  const Regularization counts{.l2 = 0.1f, .l2_per_occurrence = true, .weight_decay = 0.01f};
  options.groups = {{.name = "values",
                     .dim = static_cast<std::int64_t>(1 + 5 * number),
                     .initializer = Normal{},
                     .constant = {},
                     .optimizer = optimizer,
                     .regularization = counts}};
  if (number % 2 == 1) {
    options.groups.push_back({.name = "linear",
                              .dim = 2,
                              .initializer = Uniform{},
                              .constant = {},
                              .optimizer = Ftrl{},
                              .regularization = {}});
  }
  return options;
}

/// A table for every optimizer, and keys of each, of which every other one has a row.
struct Tables {
  std::vector<std::unique_ptr<Table<Cpu>>> owned;
  std::vector<Table<Cpu>*> all;
  std::vector<Key> keys;
  std::vector<std::int64_t> starts{0};

  Tables() {
    testing::for_alternatives<BuiltInOptimizer>([&](auto optimizer) {
      const std::size_t number = all.size();
      owned.push_back(
          std::make_unique<Table<Cpu>>(options_of(number, optimizer), Range{0, kShards}));
      all.push_back(owned.back().get());
      // A table without keys lies among the others.
      for (Key i = 0; i < (number == 2 ? 0 : 30 + 7 * number); ++i) {
        keys.push_back(i * i * 1000 + number);
      }
      starts.push_back(static_cast<std::int64_t>(keys.size()));
    });
    Stream<Cpu> stream;
    for (std::size_t t = 0; t < all.size(); ++t) {
      std::vector<Key> half;
      for (std::int64_t i = starts[t]; i < starts[t + 1]; i += 2) {
        half.push_back(keys[static_cast<std::size_t>(i)]);
      }
      std::vector<RowId> rows(half.size());
      all[t]->find_or_insert(stream, half, rows.data());
    }
  }

  Span<Table<Cpu>* const> span() const { return all; }

  TableKeys table_keys() const { return {keys.data(), starts}; }

  Span<const Key> keys_of(std::size_t t) const {
    return Span<const Key>(keys).subspan(starts[t], starts[t + 1] - starts[t]);
  }

  TableRefs<Cpu> refs(Stream<Cpu>& stream) const { return {stream, span()}; }

  /// The rows of all keys, table by table.
  std::vector<RowId> rows_alone() const {
    Stream<Cpu> stream;
    std::vector<RowId> rows(keys.size());
    for (std::size_t t = 0; t < all.size(); ++t) {
      all[t]->find(stream, keys_of(t), rows.data() + starts[t]);
    }
    return rows;
  }

  /// The values of all keys, table by table.
  std::vector<float> values_alone(const std::vector<RowId>& rows, bool inference) const {
    Stream<Cpu> stream;
    std::vector<float> values;
    for (std::size_t t = 0; t < all.size(); ++t) {
      const Span<const Key> own = keys_of(t);
      std::vector<float> out(static_cast<std::size_t>(own.size() * all[t]->layout().dim));
      all[t]->read(stream, own, rows.data() + starts[t], inference, out.data());
      values.insert(values.end(), out.begin(), out.end());
    }
    return values;
  }

  /// Every column of every row, states included, in the order of the keys.
  std::vector<float> contents() const {
    const std::vector<RowId> rows = rows_alone();
    std::vector<float> contents;
    for (std::size_t t = 0; t < all.size(); ++t) {
      const Span<const RowId> own =
          Span<const RowId>(rows).subspan(starts[t], starts[t + 1] - starts[t]);
      EXPECT_EQ(std::count(own.begin(), own.end(), kNoRow), 0);
      for (const RowColumn& column : all[t]->columns()) {
        std::vector<float> out(static_cast<std::size_t>(own.size() * column.width));
        all[t]->copy_column(own, column, out.data());
        contents.insert(contents.end(), out.begin(), out.end());
      }
    }
    return contents;
  }
};

/// The gradients of some calls, as long as the tables keep them.
struct Calls {
  std::vector<std::vector<RowId>> rows;
  std::vector<std::vector<float>> values;
  std::vector<std::vector<std::uint32_t>> counts;

  /// Table t gets t % 3 calls, each with its keys from another one on.
  explicit Calls(const Tables& tables) {
    const std::vector<RowId> found = tables.rows_alone();
    for (std::size_t t = 0; t < tables.all.size(); ++t) {
      for (std::size_t call = 0; call < t % 3; ++call) {
        add(tables, t, static_cast<std::int64_t>(call * 4), found);
      }
    }
  }

  void add(const Tables& tables, std::size_t t, std::int64_t first,
           const std::vector<RowId>& found) {
    const Span<const Key> keys = tables.keys_of(t);
    const std::int64_t n = std::max<std::int64_t>(keys.size() - first, 0);
    const auto begin = found.begin() + tables.starts[t] + std::min(first, keys.size());
    rows.emplace_back(begin, begin + n);
    values.push_back(
        random_floats(n * tables.all[t]->layout().dim, static_cast<unsigned>(values.size())));
    counts.emplace_back(static_cast<std::size_t>(n), static_cast<std::uint32_t>(first + 1));
    tables.all[t]->add({.size = n,
                        .keys = keys.data() + std::min(first, keys.size()),
                        .rows = rows.back().data(),
                        .values = values.back().data(),
                        .occurrences = counts.back().data(),
                        .keep = {}});
  }
};

const std::vector<int>& threads_of_tests() {
  static const std::vector<int> counts = testing::thread_counts({1, 2, 3});
  return counts;
}

TEST(RowStages, FindsAndReadsAsEachTableAlone) {
  const Tables tables;
  const std::vector<RowId> expected = tables.rows_alone();
  EXPECT_GT(std::count(expected.begin(), expected.end(), kNoRow), 0);
  for (const int threads : threads_of_tests()) {
    Stream<Cpu> stream(threads, 0);
    std::vector<RowId> rows(tables.keys.size());
    find_rows(stream, tables.refs(stream), tables.table_keys(), rows.data());
    EXPECT_EQ(rows, expected);
    for (const bool inference : {false, true}) {
      const std::vector<float> values = tables.values_alone(rows, inference);
      std::vector<float> read(values.size());
      read_rows(stream, tables.refs(stream), tables.table_keys(), rows.data(), inference,
                read.data());
      EXPECT_EQ(read, values);
    }
  }
}

TEST(RowStages, LocatesTheValuesThatItReads) {
  const Tables tables;
  const std::vector<RowId> rows = tables.rows_alone();
  for (const int threads : threads_of_tests()) {
    Stream<Cpu> stream(threads, 0);
    for (const bool inference : {false, true}) {
      const TableRefs<Cpu> refs = tables.refs(stream);
      std::vector<const float*> places(rows.size());
      const Buffer<float, Cpu> absent =
          locate_rows(stream, refs, tables.table_keys(), rows.data(), inference, places.data());
      std::vector<float> values;
      for (std::int64_t t = 0; t < refs.size(); ++t) {
        for (std::int64_t i = tables.starts[static_cast<std::size_t>(t)];
             i < tables.starts[static_cast<std::size_t>(t) + 1]; ++i) {
          const float* place = places[static_cast<std::size_t>(i)];
          values.insert(values.end(), place, place + refs.dim(t));
        }
      }
      EXPECT_EQ(values, tables.values_alone(rows, inference));
    }
  }
}

TEST(RowStages, MakesMissingRowsAsEachTableAlone) {
  const Tables alone;
  Stream<Cpu> one;
  std::vector<RowId> rows(alone.keys.size());
  for (std::size_t t = 0; t < alone.all.size(); ++t) {
    alone.all[t]->find_or_insert(one, alone.keys_of(t), rows.data() + alone.starts[t]);
  }
  for (const int threads : threads_of_tests()) {
    Stream<Cpu> stream(threads, 0);
    const Tables together;
    std::vector<RowId> made = together.rows_alone();
    std::vector<RowId> sizes;
    for (const Table<Cpu>* table : together.all) {
      sizes.push_back(static_cast<RowId>(table->size()));
    }
    EXPECT_EQ(insert_missing(stream, together.span(), together.table_keys(), made.data()), sizes);
    const TableRefs<Cpu> refs = together.refs(stream);
    WideRows<Cpu> wide(stream, refs, together.table_keys().starts);
    for_each_run(stream, together.table_keys().starts,
                 InitializeRows{.tables = refs.data(),
                                .keys = together.keys.data(),
                                .rows = made.data(),
                                .starts = together.starts.data(),
                                .wide = wide.on_device(stream)});
    EXPECT_EQ(made, together.rows_alone());
    EXPECT_EQ(together.contents(), alone.contents());
    for (std::size_t t = 0; t < alone.all.size(); ++t) {
      EXPECT_EQ(together.all[t]->size(), alone.all[t]->size());
    }
  }
}

TEST(RowStages, ATableThatCountsNoOccurrencesHidesThoseOfNoOther) {
  Stream<Cpu> stream;
  TableOptions counting = options_of(0, Sgd{}), other = options_of(2, Sgd{});
  counting.groups[0].initializer = other.groups[0].initializer = Constant{1};
  counting.groups[0].regularization = {.l2 = 0.5f, .l2_per_occurrence = true, .weight_decay = 0};
  Table<Cpu> first(counting, {0, kShards}), second(other, {0, kShards});
  const Key key = 7;
  std::vector<RowId> rows(4, kNoRow);
  std::vector<float> values(2 + 2 * 11);
  const std::uint32_t occurrences[] = {1, 2};
  for (std::size_t call = 0; call < 2; ++call) {
    first.add({.size = 1,
               .keys = &key,
               .rows = &rows[call],
               .values = &values[call],
               .occurrences = &occurrences[call],
               .keep = {}});
    second.add({.size = 1,
                .keys = &key,
                .rows = &rows[2 + call],
                .values = &values[2 + 11 * call],
                .keep = {}});
  }
  Table<Cpu>* const both[] = {&first, &second};
  apply_gradients<Cpu>(stream, both, {});
  float value = 0;
  first.find(stream, {&key, 1}, rows.data());
  first.read(stream, {&key, 1}, rows.data(), false, &value);
  EXPECT_EQ(value, 1 - 0.01f * (0.5f * 3)) << "three occurrences in two calls";
}

/// The contents of the tables after two steps, in which every key gets a row.
std::vector<float> contents_after_steps(Stream<Cpu>& stream, bool together) {
  const Tables tables;
  std::vector<std::int64_t> before;
  for (const Table<Cpu>* table : tables.all) {
    before.push_back(table->steps());
  }
  const UpdateContext context{.learning_rate_scale = 0.5f, .valid_samples = 8};
  for (int step = 0; step < 2; ++step) {
    const Calls calls(tables);
    if (together) {
      apply_gradients(stream, tables.span(), context);
    }
    for (Table<Cpu>* table : tables.all) {
      if (!together) {
        table->apply(stream, context);
      }
    }
  }
  for (std::size_t t = 0; t < tables.all.size(); ++t) {
    EXPECT_EQ(tables.all[t]->steps(), before[t] + 2);
    std::vector<RowId> rows(static_cast<std::size_t>(tables.keys_of(t).size()));
    tables.all[t]->find_or_insert(stream, tables.keys_of(t), rows.data());
  }
  return tables.contents();
}

TEST(RowStages, StepsChangeTheTablesAsStepsOfEachAlone) {
  Stream<Cpu> one;
  const std::vector<float> expected = contents_after_steps(one, false);
  for (const int threads : threads_of_tests()) {
    Stream<Cpu> stream(threads, 0);
    EXPECT_EQ(contents_after_steps(stream, true), expected) << threads;
  }
}

TEST(RowStages, AGradientThatIsNotFiniteChangesNoTable) {
  Stream<Cpu> stream(2, 0);
  const Tables tables;
  const std::vector<RowId> before = tables.rows_alone();
  const std::vector<float> values = tables.values_alone(before, false);
  Calls calls(tables);
  calls.values.back()[3] = std::numeric_limits<float>::quiet_NaN();
  try {
    apply_gradients(stream, tables.span(), {});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::non_finite);
  }
  EXPECT_EQ(tables.rows_alone(), before);
  EXPECT_EQ(tables.values_alone(before, false), values);
}

}  // namespace
}  // namespace keyshard
