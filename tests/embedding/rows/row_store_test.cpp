// Parts of consecutive rows that come from the host, over several slabs, against the definition.
#include "embedding/rows/row_store.hpp"

#include <cstring>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

constexpr std::int64_t kStride = 40;  // floats
constexpr std::int64_t kRowBytes = kStride * 4;

/// The number that byte `b` of a part of row `i` is set to.
unsigned char number(std::int64_t i, std::int64_t b) {
  return static_cast<unsigned char>(31 * i + 7 * b + 1);
}

std::vector<unsigned char> part_bytes(std::int64_t rows, RowPart part) {
  std::vector<unsigned char> bytes;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t b = 0; b < part.size; ++b) {
      bytes.push_back(number(i, part.offset + b));
    }
  }
  return bytes;
}

TEST(RowStore, PartsOfRowsAreSetAndNoByteBesideThem) {
  // Sizes that are compiled in and others, of floats and of floats of 16 bits; 22 bytes stay.
  const std::vector<RowPart> parts{{0, 6}, {8, 64}, {74, 2}, {76, 32}, {108, 24}, {132, 10}};
  for (const RowRange range : {RowRange{0, 0}, {0, 1}, {7, 64}, {200, 65}, {3, 2997}}) {
    RowStore<Cpu> store(kStride);
    store.allocate(3000);  // the first slab has 256
    const std::vector<unsigned char> zeros(3000 * kRowBytes);
    copy_rows_in<Cpu>(store.ref(), {0, 3000}, {0, kRowBytes}, zeros.data());
    std::vector<std::vector<unsigned char>> bytes;
    std::vector<PartSource> sources;
    for (const RowPart part : parts) {
      bytes.push_back(part_bytes(range.count, part));
      sources.push_back({part, bytes.back().data()});
    }
    copy_rows_in<Cpu>(store.ref(), range, sources);

    std::vector<unsigned char> expected(zeros);
    for (std::int64_t i = 0; i < range.count; ++i) {
      for (const RowPart part : parts) {
        for (std::int64_t b = part.offset; b < part.offset + part.size; ++b) {
          expected[static_cast<std::size_t>((range.first + i) * kRowBytes + b)] = number(i, b);
        }
      }
    }
    std::vector<RowId> all(3000);
    std::iota(all.begin(), all.end(), 0u);
    std::vector<unsigned char> found(expected.size());
    copy_rows_out<Cpu>(store.ref(), all, {0, kRowBytes}, found.data());
    EXPECT_EQ(found, expected) << range.first << " " << range.count;
  }
}

TEST(RowStore, SaysHowManyRowsLieOneAfterAnother) {
  RowStore<Cpu> store(kStride);
  store.allocate(2000);
  const RowStoreRef& ref = store.ref();
  for (RowId row = 0; row < 1999; ++row) {
    const bool beside = ref.row(row + 1) == ref.row(row) + kStride;
    if (ref.run_from(row) > 1) {
      EXPECT_TRUE(beside) << row;
      EXPECT_EQ(ref.run_from(row + 1), ref.run_from(row) - 1) << row;
    } else {
      EXPECT_EQ(ref.run_from(row), 1) << row;
    }
  }
  EXPECT_EQ(ref.run_from(0), 256);
  EXPECT_EQ(ref.run_from(256), 512);
  EXPECT_EQ(ref.run_from(767), 1);
}

}  // namespace
}  // namespace keyshard
