// Rows of doubles and integers as functors see them: the same bits with one lane and with teams,
// initial values by their definition, and steps by the rules of floats in double.
#include "embedding/rows/other_values.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "embedding/rows/double_step_impl.hpp"
#include "embedding/rows/row_functors.hpp"
#include "embedding/rows/row_stages_impl.hpp"
#include "embedding/rows/table_impl.hpp"
#include "tests/support/lanes.hpp"

namespace keyshard {
namespace {

using testing::Bits;
using testing::Lanes;

constexpr std::int64_t kRows = 4;
const RowId kIds[kRows] = {3, 0, 1, 2};
const RowId kFound[kRows] = {3, kNoRow, 1, kNoRow};
const Key kKeys[kRows] = {9, 0, ~Key{0}, 123456789};

TableOptions options_of(ValueDtype dtype, std::int64_t dim, const Initializer& initializer) {
  TableOptions options;
  options.name = "other";
  options.value_dtype = dtype;
  options.trainable = !is_integer(dtype);
  options.groups = {{"values", dim, initializer, {}, Sgd{}, {}}};
  return options;
}

/// A table whose rows lie in plain memory, of numbers in [0.5, 1.5) where they are doubles.
struct PlainTable {
  Table<Cpu> table;
  std::vector<GroupRef> groups;
  std::vector<float> rows;
  TableRef ref;

  explicit PlainTable(const TableOptions& options) : table(options, {0, kShards}) {
    const std::int64_t stride = table.layout().stride;
    rows.resize(static_cast<std::size_t>(kRows * stride));
    for (std::int64_t i = 0; i < numbers_in<double>(kRows * stride); ++i) {
      numbers_at<double>(rows.data())[i] = 0.5 + std::fmod(0.1 * static_cast<double>(i), 1.0);
    }
    table.add_group_refs(groups);
    table.begin_step({.learning_rate_scale = 0.5, .valid_samples = 4}, groups.data());
    ref = table.ref(groups.data());
    ref.store = {.slabs = {rows.data()}, .stride = stride, .first_rows = 1024, .first_bits = 10};
  }
};

Bits make_and_read(const TableOptions& options, const Lanes& lanes) {
  PlainTable table(options);
  Bits bits;
  lanes.rows(kRows, InitializeOther{&table.ref, kKeys, kIds});
  bits.add(table.rows);
  std::vector<float> out(static_cast<std::size_t>(kRows * table.ref.dim));
  lanes.rows(kRows, ReadRow{.table = &table.ref,
                            .keys = kKeys,
                            .rows = kFound,
                            .which = nullptr,
                            .first = 0,
                            .inference = false,
                            .out = out.data()});
  bits.add(out);
  lanes.rows(kRows, AssignRow{&table.ref, kKeys, kIds, out.data()});
  bits.add(table.rows);
  return bits;
}

TEST(OtherValues, HaveTheSameBitsAtEveryWidth) {
  using enum ValueDtype;
  for (const ValueDtype dtype : {float64, int8, int32, int64}) {
    for (const Initializer& rule : {Initializer(Constant{-3.5}), Initializer(Uniform{-200, 200}),
                                    Initializer(Normal{1, 90})}) {
      for (const std::int64_t dim : testing::kDims) {
        TableOptions options = options_of(dtype, dim, rule);
        options.groups[0].max_norm = dtype == float64 ? 20 : 0;
        testing::expect_same_bits(
            [&](const Lanes& lanes) { return make_and_read(options, lanes); });
      }
    }
  }
}

TEST(OtherValues, OfIntegersAreCutAndStayInTheirType) {
  EXPECT_EQ(value_as<std::int8_t>(-3.99), -3);
  EXPECT_EQ(value_as<std::int8_t>(128), 127);
  EXPECT_EQ(value_as<std::int32_t>(-1e10), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(value_as<std::int64_t>(0x1p63), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(value_as<std::int64_t>(-0x1p63), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(value_as<std::int64_t>(std::numeric_limits<double>::quiet_NaN()), 0);
}

TEST(OtherValues, OfIntegersLeaveZerosBehindThem) {
  TableOptions options = options_of(ValueDtype::int8, 5, Constant{-1});
  PlainTable table(options);
  Lanes(1).rows(kRows, InitializeOther{&table.ref, kKeys, kIds});
  const auto* row = numbers_at<std::int8_t>(table.ref.store.row(2));
  for (int d = 0; d < 8; ++d) {
    EXPECT_EQ(row[d], d < 5 ? -1 : 0) << d;
  }
}

TEST(DoubleSteps, HaveTheSameBitsAtEveryWidth) {
  testing::for_alternatives<BuiltInOptimizer>([](auto optimizer) {
    for (const std::int64_t dim : {1, 7, 32, 70}) {
      TableOptions options = options_of(ValueDtype::float64, dim, Normal{});
      options.groups[0].optimizer = optimizer;
      options.groups[0].max_norm = 3;
      options.groups[0].regularization = {
          .l2 = 0.1, .l2_per_occurrence = true, .weight_decay = 0.01, .clip_norm = 0.7};
      options.groups.push_back({"other", 3, Uniform{}, {}, Adam{}, {}});
      testing::expect_same_bits([&](const Lanes& lanes) {
        PlainTable table(options);
        std::vector<double> gradients(static_cast<std::size_t>(kRows * (dim + 3)));
        for (std::size_t i = 0; i < gradients.size(); ++i) {
          gradients[i] = std::sin(0.1 * static_cast<double>(i));
        }
        const std::vector<std::uint32_t> occurrences{1, 2, 3, 4};
        lanes.rows(kRows, DoubleSteps::Row{
                              .table = &table.ref,
                              .call = {kKeys, nullptr, reinterpret_cast<float*>(gradients.data()),
                                       occurrences.data(), 0, table.ref.dim, ValueDtype::float64},
                              .keys = kKeys,
                              .rows = kIds,
                              .first_new = 2});
        Bits bits;
        bits.add(table.rows);
        return bits;
      });
    }
  });
}

}  // namespace
}  // namespace keyshard
