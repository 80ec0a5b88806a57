// Rows of a device, and parts of them that are copied to the host and back.
#include "embedding/rows/row_store.hpp"

#include <cstring>
#include <thread>

#include "runtime/for_each_cuda.hpp"
#include "runtime/hash.hpp"
#include "tests/sim/sim_test.hpp"

namespace keyshard {
namespace {

using testing::for_seeds;
using RowStoreOfDevice = testing::SimTest;

constexpr std::int64_t kStride = 12;
constexpr std::int64_t kRowBytes = kStride * static_cast<std::int64_t>(sizeof(float));

/// Parts of whole floats, and parts that only whole 16-bit numbers fill.
constexpr RowPart kParts[] = {{0, kRowBytes}, {8, 4}, {0, 2}, {6, 22}, {kRowBytes - 2, 2}};

std::vector<unsigned char> bytes_of(std::int64_t n, std::uint64_t seed) {
  std::vector<unsigned char> bytes;
  for (std::int64_t i = 0; i < n; ++i) {
    bytes.push_back(static_cast<unsigned char>(mix64(seed + static_cast<std::uint64_t>(i))));
  }
  return bytes;
}

/// The part of rows `ids` of all rows.
std::vector<unsigned char> part_of(const std::vector<unsigned char>& all,
                                   const std::vector<RowId>& ids, RowPart part) {
  std::vector<unsigned char> bytes;
  for (const RowId id : ids) {
    const auto first = all.begin() + std::int64_t{id} * kRowBytes + part.offset;
    bytes.insert(bytes.end(), first, first + part.size);
  }
  return bytes;
}

std::vector<unsigned char> copied_out(const RowStoreRef& store, const std::vector<RowId>& ids,
                                      RowPart part) {
  std::vector<unsigned char> out(ids.size() * static_cast<std::size_t>(part.size));
  copy_rows_out<Cuda>(store, ids, part, out.data());
  return out;
}

TEST_F(RowStoreOfDevice, PartsOfRowsComeBackAsTheyWere) {
  for_seeds(20, [](int) {
    RowStore<Cuda> store(kStride);
    std::vector<unsigned char> all;
    for (const std::int64_t n : {0, 1, 31, 32, 33, 3000}) {  // more rows than the first slab has
      const RowId first = store.allocate(n);
      const std::vector<unsigned char> bytes = bytes_of(n * kRowBytes, first);
      copy_rows_in<Cuda>(store.ref(), {first, n}, kParts[0], bytes.data());
      all.insert(all.end(), bytes.begin(), bytes.end());
      std::vector<RowId> ids;  // some rows, in no order, one of them twice
      for (std::int64_t i = 0; i < n; ++i) {
        ids.push_back(static_cast<RowId>(mix64(static_cast<std::uint64_t>(i)) %
                                         static_cast<std::uint64_t>(store.size())));
      }
      for (const RowPart part : kParts) {
        EXPECT_EQ(copied_out(store.ref(), ids, part), part_of(all, ids, part)) << n;
      }
    }
    const RowRange range{7, 33};
    for (const RowPart part : kParts) {
      const std::vector<unsigned char> bytes = bytes_of(range.count * part.size, 99);
      copy_rows_in<Cuda>(store.ref(), range, part, bytes.data());
      for (std::int64_t i = 0; i < range.count; ++i) {
        std::memcpy(all.data() + (range.first + i) * kRowBytes + part.offset,
                    bytes.data() + i * part.size, static_cast<std::size_t>(part.size));
      }
      std::vector<RowId> ids;  // the rows beside them have not changed
      for (RowId id = 0; id < 60; ++id) {
        ids.push_back(id);
      }
      EXPECT_EQ(copied_out(store.ref(), ids, kParts[0]), part_of(all, ids, kParts[0]));
    }
  });
}

TEST_F(RowStoreOfDevice, ThreadsCopyDifferentRows) {
  for_seeds(20, [](int) {
    RowStore<Cuda> store(kStride);
    store.allocate(100);
    const auto fill = [&](RowId first) {
      const std::vector<unsigned char> bytes = bytes_of(50 * kRowBytes, first);
      copy_rows_in<Cuda>(store.ref(), {first, 50}, kParts[0], bytes.data());
      std::vector<RowId> ids;
      for (RowId id = 0; id < 50; ++id) {
        ids.push_back(first + id);
      }
      EXPECT_EQ(copied_out(store.ref(), ids, kParts[0]), bytes);
    };
    std::thread other(fill, 50u);
    fill(0);
    other.join();
  });
}

/// Adds 1 to a number of row 0, after much other work.
struct AddOne {
  RowStoreRef store;

  KEYSHARD_HD void operator()(std::int64_t) const { *store.row(0) += 1.0f; }
};

TEST_F(RowStoreOfDevice, ACopyComesAfterWorkThatAnyQueueWasGiven) {
  for_seeds(20, [](int) {
    RowStore<Cuda> store(kStride);
    store.allocate(1);
    const std::vector<float> zeros(kStride);
    copy_rows_in<Cuda>(store.ref(), {0, 1}, kParts[0], zeros.data());
    Stream<Cuda> one(0), other(0);
    for_each(one, 1, AddOne{store.ref()});
    one.wait();
    for_each(other, 1, AddOne{store.ref()});
    const RowId id = 0;
    float value = 0;
    copy_rows_out<Cuda>(store.ref(), {&id, 1}, {0, sizeof(float)}, &value);
    EXPECT_EQ(value, 2.0f);
  });
}

}  // namespace
}  // namespace keyshard
