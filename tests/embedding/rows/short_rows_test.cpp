// Tables of 16-bit floats against rows that are worked on as floats and rounded by hand after each
// step, and what reads, inserts, assignments and bytes of such rows are.
#include <cmath>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "embedding/rows/row_functors.hpp"
#include "embedding/rows/table.hpp"
#include "embedding/rows/update_row.hpp"
#include "runtime/stream.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/lanes.hpp"

namespace keyshard {
namespace {

using testing::random_floats;

constexpr ValueDtype kShort[] = {ValueDtype::float16, ValueDtype::bfloat16};
constexpr ValueDtype kAll[] = {ValueDtype::float32, ValueDtype::float16, ValueDtype::bfloat16};

/// The nearest number of `digits` significant bits and exponents from `least` on, of two the even
/// one.
float rounded_by_hand(ValueDtype dtype, float x) {
  const int digits = dtype == ValueDtype::float16 ? 11 : 8;
  const int least = dtype == ValueDtype::float16 ? -14 : -126;
  int exponent = 0;
  std::frexp(x, &exponent);
  const double unit = std::ldexp(1.0, std::max(exponent - 1, least) - (digits - 1));
  return static_cast<float>(std::nearbyint(static_cast<double>(x) / unit) * unit);
}

std::vector<float> rounded_by_hand(ValueDtype dtype, std::vector<float> values) {
  for (float& x : values) {
    x = dtype == ValueDtype::float32 ? x : rounded_by_hand(dtype, x);
  }
  return values;
}

TableOptions options_of(ValueDtype dtype, std::int64_t dim, const Optimizer& optimizer,
                        double max_norm) {
  const Regularization shrinks{.l2 = 0.01f, .weight_decay = 0.1f};
  TableOptions options;
  options.name = "items";
  options.seed = 5;
  options.value_dtype = dtype;
  options.groups = {{.name = "values",
                     .dim = dim,
                     .initializer = Normal{0, 0.3f},
                     .constant = {},
                     .optimizer = optimizer,
                     .regularization = shrinks,
                     .max_norm = max_norm},
                    {.name = "linear",
                     .dim = 3,
                     .initializer = Uniform{},
                     .constant = {},
                     .optimizer = Ftrl{},
                     .regularization = {}}};
  return options;
}

const std::vector<Key> kKeys{9, 0, ~Key{0}, 123456789, 7};
constexpr std::int64_t kRows = 5;

/// The values of all keys.
std::vector<float> read(Stream<Cpu>& stream, const Table<Cpu>& table) {
  std::vector<RowId> rows(kKeys.size());
  table.find(stream, kKeys, rows.data());
  std::vector<float> values(kKeys.size() * static_cast<std::size_t>(table.layout().dim));
  table.read(stream, kKeys, rows.data(), false, values.data());
  return values;
}

/// Makes a step of a table with gradients of all keys.
void step(Stream<Cpu>& stream, Table<Cpu>& table, std::vector<float> gradients) {
  std::vector<RowId> rows(kKeys.size());
  table.find(stream, kKeys, rows.data());
  table.add({.size = kRows,
             .keys = kKeys.data(),
             .rows = rows.data(),
             .values = gradients.data(),
             .steps = table.steps(),
             .keep = {}});
  table.apply(stream, {0.5f, 4});
}

/// Rows as floats, stepped by the rules themselves, whose values are rounded after each step.
class ByHand {
 public:
  explicit ByHand(const TableOptions& options) : dtype_(options.value_dtype) {
    TableOptions wide = options;
    wide.value_dtype = ValueDtype::float32;
    clock_.emplace(wide, Range{0, kShards});
    clock_->add_group_refs(groups_);
    Stream<Cpu> stream;
    values_ = rounded_by_hand(dtype_, read(stream, *clock_));
    states_.resize(static_cast<std::size_t>(kRows * clock_->layout().stride));
    for (std::int64_t i = 0; i < kRows; ++i) {
      for (const GroupRef& group : groups_) {
        float* state = states_of(i) + group.state_offset;
        for (int s = 0; s < group.num_states; ++s) {
          state = std::fill_n(state, group.states[s].width, group.states[s].initial);
        }
      }
    }
  }

  void step(std::vector<float> gradients) {
    const std::int64_t dim = clock_->layout().dim;
    clock_->begin_step({0.5f, 4}, groups_.data());
    for (std::int64_t i = 0; i < kRows; ++i) {
      const RowStep one{states_of(i), values_.data() + i * dim, gradients.data() + i * dim, 1};
      for (const GroupRef& group : groups_) {
        visit_variant(group.optimizer, [&](const auto& rule) { one.step(Solo{}, group, rule); });
      }
    }
    values_ = rounded_by_hand(dtype_, values_);
  }

  const std::vector<float>& values() const { return values_; }

  /// A state column as RowColumn has it, for 16-bit rows `layout`.
  std::vector<float> state(const RowColumn& column, const RowLayout& layout) const {
    std::vector<float> numbers;
    const std::int64_t shift =
        clock_->layout().groups[0].state_offset - layout.groups[0].state_offset;
    for (std::int64_t i = 0; i < kRows; ++i) {
      const float* first = const_cast<ByHand*>(this)->states_of(i) + column.offset + shift;
      numbers.insert(numbers.end(), first, first + column.width);
    }
    return numbers;
  }

 private:
  float* states_of(std::int64_t i) { return states_.data() + i * clock_->layout().stride; }

  ValueDtype dtype_;
  std::optional<Table<Cpu>> clock_;  // of float32: offsets and numbers of the steps
  std::vector<GroupRef> groups_;
  std::vector<float> values_;
  std::vector<float> states_;
};

void expect_steps_by_hand(const TableOptions& options, int threads) {
  Stream<Cpu> stream(threads, 0);
  Table<Cpu> table(options, {0, kShards});
  ByHand reference(options);
  ASSERT_EQ(read(stream, table), reference.values()) << "absent keys";
  for (unsigned s = 0; s < 4; ++s) {
    const std::vector<float> gradients = random_floats(kRows * table.layout().dim, s);
    step(stream, table, gradients);
    reference.step(gradients);
    ASSERT_EQ(read(stream, table), reference.values()) << "after step " << s;
  }
  std::vector<RowId> rows(kKeys.size());
  table.find(stream, kKeys, rows.data());
  for (const RowColumn& column : table.columns()) {
    if (column.name.starts_with("state/")) {
      std::vector<float> state(kKeys.size() * static_cast<std::size_t>(column.width));
      table.copy_column(rows, column, state.data());
      EXPECT_EQ(state, reference.state(column, table.layout())) << column.name;
    }
  }
}

TEST(ShortRows, StepsAreThoseOfFloatsThatAreRoundedByHand) {
  for (const ValueDtype dtype : kShort) {
    testing::for_alternatives<BuiltInOptimizer>([&](auto optimizer) {
      SCOPED_TRACE(optimizer.kName + (" " + option_name(dtype)));
      expect_steps_by_hand(options_of(dtype, 6, optimizer, 0), 1);
      expect_steps_by_hand(options_of(dtype, 16, optimizer, 0.75), 2);
    });
  }
}

TEST(ShortRows, OfEveryWidthAreReadAndSteppedInEveryType) {
  for (const ValueDtype dtype : kAll) {
    for (const std::int64_t dim : {1, 3, 64, 1000, 4096}) {
      SCOPED_TRACE(fmt::format("{} x {}", dim, option_name(dtype)));
      for (const int threads : testing::thread_counts({1, 2})) {
        expect_steps_by_hand(options_of(dtype, dim, Adagrad{}, 0), threads);
      }
    }
  }
}

TEST(ShortRows, HaveHalfTheBytesOfFloats) {
  const auto stride = [](ValueDtype dtype, std::int64_t dim, const Optimizer& optimizer) {
    TableOptions options = options_of(dtype, dim, optimizer, 0);
    options.groups.resize(1);
    return RowLayout(options.groups, dtype).stride;
  };
  for (const ValueDtype dtype : kShort) {
    for (const std::int64_t dim : {16, 64, 1000, 4096}) {
      EXPECT_EQ(2 * stride(dtype, dim, Sgd{}), stride(ValueDtype::float32, dim, Sgd{})) << dim;
      EXPECT_EQ(stride(dtype, dim, Adagrad{}), dim / 2 + dim);
    }
    EXPECT_EQ(stride(dtype, 1, Sgd{}), 4);
    EXPECT_EQ(stride(dtype, 3, Sgd{}), 4);
    EXPECT_EQ(stride(dtype, 3, Adagrad{}), 8) << "2 floats of values, 3 of state";
  }
}

TEST(ShortRows, ARowIsBornAsItWasReadBefore) {
  for (const ValueDtype dtype : kShort) {
    for (const double max_norm : {0.0, 0.2}) {
      Stream<Cpu> stream(2, 0);
      Table<Cpu> table(options_of(dtype, 33, Adam{}, max_norm), {0, kShards});
      const std::vector<float> absent = read(stream, table);
      EXPECT_EQ(absent, rounded_by_hand(dtype, absent));
      std::vector<RowId> rows(kKeys.size());
      table.find_or_insert(stream, kKeys, rows.data());
      EXPECT_EQ(table.size(), kRows);
      EXPECT_EQ(read(stream, table), absent);
    }
  }
}

TEST(ShortRows, AssignedAndWrittenBackValuesAreRounded) {
  for (const ValueDtype dtype : kShort) {
    for (const bool by_increment : {false, true}) {
      TableOptions options = options_of(dtype, 5, Sgd{}, 0);
      options.bp_v2 = by_increment;
      Stream<Cpu> stream(2, 0);
      Table<Cpu> table(options, {0, kShards});
      const std::vector<float> first = random_floats(kRows * 8, 1);
      table.assign(stream, kKeys, first.data());
      const std::vector<float> kept = rounded_by_hand(dtype, first);
      EXPECT_EQ(read(stream, table), kept);

      std::vector<RowId> rows(kKeys.size());
      table.find(stream, kKeys, rows.data());
      const std::vector<float> updated = random_floats(kRows * 8, 2), old = random_floats(40, 3);
      table.write_back(stream, {kKeys, rows.data(), old.data(), updated.data()});
      std::vector<float> expected = updated;
      for (std::size_t i = 0; i < expected.size() && by_increment; ++i) {
        expected[i] = kept[i] + (updated[i] - old[i]);
      }
      EXPECT_EQ(read(stream, table), rounded_by_hand(dtype, expected)) << by_increment;
    }
  }
}

}  // namespace
}  // namespace keyshard
