// Rows of 16-bit floats that are made, stepped, read, packed and unpacked, with teams of 8 and 32
// lanes against one lane, bit for bit.
#include "embedding/lookup/short_answers.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "embedding/rows/table.hpp"
#include "embedding/rows/table_impl.hpp"
#include "embedding/rows/update_row.hpp"
#include "tests/support/lanes.hpp"

namespace keyshard {
namespace {

using testing::Lanes;
using testing::random_floats;

const std::vector<Key> kKeys{9, 0, ~Key{0}, 123456789, 7};
constexpr std::int64_t kRows = 5;

TableOptions options_of(ValueDtype dtype, std::int64_t dim) {
  TableOptions options;
  options.name = "items";
  options.value_dtype = dtype;
  options.groups = {{.name = "values",
                     .dim = dim,
                     .initializer = Normal{},
                     .constant = {},
                     .optimizer = Adam{},
                     .regularization = {},
                     .max_norm = 0.1}};
  return options;
}

/// Sets and steps the rows of a table whose rows of kKeys are `rows`.
void set_and_step(const TableRef& table, const std::vector<RowId>& rows, const Lanes& lanes) {
  const auto floats = kRows * table.dim;
  std::vector<float> copies(static_cast<std::size_t>(floats)), gradients = random_floats(floats, 5);
  const std::vector<float> assigned = random_floats(floats, 8);
  const WideValues wide{copies.data()};
  lanes.rows(kRows, InitializeRow<Normal>{.table = &table,
                                          .initializer = Normal{},
                                          .keys = kKeys.data(),
                                          .rows = rows.data(),
                                          .wide = wide});
  lanes.rows(2, AssignRow{&table, kKeys.data(), rows.data(), assigned.data(), wide});
  lanes.rows(kRows,
             UpdateRow<Adam>(table, table.groups[0], Adam{},
                             {.rows = rows.data(), .gradients = gradients.data(), .wide = wide}));
}

/// What rows are as floats, and that they are the same after they were packed for their way.
std::vector<float> widened(const TableRef& table, const std::vector<RowId>& rows,
                           const Lanes& lanes) {
  const auto floats = static_cast<std::size_t>(kRows * table.dim);
  std::vector<float> read(floats), spare(floats), unpacked(floats);
  std::vector<std::uint16_t> packed(floats);
  lanes.rows(kRows, WidenRow{.table = &table,
                             .keys = kKeys.data(),
                             .rows = rows.data(),
                             .first = 0,
                             .inference = false,
                             .out = read.data(),
                             .places = nullptr});
  lanes.rows(kRows, PackRow{.table = &table,
                            .keys = kKeys.data(),
                            .rows = rows.data(),
                            .which = nullptr,
                            .first = 0,
                            .inference = false,
                            .spare = spare.data(),
                            .out = packed.data()});
  const std::int64_t blocks[] = {0, kRows}, base = 0;
  const std::uint8_t reduced = 0;
  lanes.runs(blocks, UnpackRows{.blocks = blocks,
                                .bases = &base,
                                .places = &base,
                                .dims = &table.dim,
                                .dtypes = &table.dtype,
                                .reduced = &reduced,
                                .tables = 1,
                                .answers = reinterpret_cast<const std::byte*>(packed.data()),
                                .out = unpacked.data()});
  EXPECT_EQ(unpacked, read);
  return read;
}

TEST(ShortAnswers, AreTheRowsOfTheTableAtEveryWidthOfATeam) {
  for (const ValueDtype dtype : {ValueDtype::float16, ValueDtype::bfloat16}) {
    for (const std::int64_t dim : {1, 7, 33}) {
      testing::expect_same_bits([&](const Lanes& lanes) {
        Stream<Cpu> stream;
        Table<Cpu> table(options_of(dtype, dim), {0, kShards});
        std::vector<RowId> rows(kKeys.size());
        table.find_or_insert(stream, kKeys, rows.data());
        Table<Cpu>* const self[] = {&table};
        const TableRefs<Cpu> refs(stream, Span<Table<Cpu>* const>(self), {0.5f, 4});
        set_and_step(refs.data()[0], rows, lanes);
        rows[3] = rows[1] = kNoRow;
        testing::Bits bits;
        bits.add(widened(refs.data()[0], rows, lanes));
        for (const RowColumn& column : table.columns()) {
          std::vector<std::byte> content(kKeys.size() * static_cast<std::size_t>(column.width) *
                                         static_cast<std::size_t>(value_bytes(column.dtype)));
          const RowId made[] = {0, 1, 2, 3, 4};
          table.copy_column(made, column, content.data());
          bits.add(content);
        }
        return bits;
      });
    }
  }
}

}  // namespace
}  // namespace keyshard
