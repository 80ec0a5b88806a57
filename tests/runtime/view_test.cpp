// Borrowed shapes: where a row begins, and how many lists there are.
#include "runtime/view.hpp"

#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/prefetch.hpp"

namespace keyshard {
namespace {

TEST(MatrixView, ARowBeginsAStrideAfterTheOneBefore) {
  std::vector<float> data{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const MatrixView<float> view{data.data() + 1, 3, 2, 4};  // columns 1 and 2 of a 3 x 4 matrix

  EXPECT_EQ(view.row(0), data.data() + 1);
  EXPECT_EQ(view.row(1)[0], 5);
  EXPECT_EQ(view.row(2)[1], 10);
}

TEST(MatrixView, RowsBeyondTwoGiBLieWhereTheyShould) {
  // Nothing is read at this address.
  const auto* data = reinterpret_cast<const char*>(std::uintptr_t{4096});
  const MatrixView<const char> view{data, std::int64_t{1} << 22, 1, 4096};

  EXPECT_EQ(view.row((std::int64_t{1} << 22) - 1) - data, (std::int64_t{1} << 34) - 4096);
}

TEST(MatrixView, OfNumbersThatMayChangeIsOneOfNumbersThatAreReadAndNotTheOtherWay) {
  std::vector<float> data(6);
  const MatrixView<float> view{data.data(), 2, 2, 3};
  const MatrixView<const float> read = view;

  EXPECT_EQ(read.row(1), data.data() + 3);
  EXPECT_EQ(read.rows, 2);
  EXPECT_EQ(read.cols, 2);
  EXPECT_EQ(read.stride, 3);
  static_assert(!std::is_convertible_v<MatrixView<const float>, MatrixView<float>>);
  static_assert(!std::is_convertible_v<MatrixView<double>, MatrixView<const float>>);
}

TEST(MatrixView, IsFitForFunctors) {
  static_assert(std::is_trivially_copyable_v<MatrixView<float>>);
  static_assert(std::is_trivially_copyable_v<RaggedView<const Key>>);
}

TEST(RaggedView, HasOneListLessThanOffsetsAndNoneWhereThereAreNone) {
  const std::vector<Key> values{7, 8, 9};
  const std::vector<std::int64_t> offsets{0, 2, 2, 3}, first{0};

  EXPECT_EQ((RaggedView<const Key>{values, offsets}.lists()), 3);
  EXPECT_EQ((RaggedView<const Key>{values, first}.lists()), 0);
  EXPECT_EQ(RaggedView<const Key>{}.lists(), 0);
}

TEST(Prefetch, ChangesNothingAndReadsNothing) {
  std::vector<int> data(100);
  for (int i = 0; i < 100; ++i) {
    data[static_cast<std::size_t>(i)] = i;
  }
  const std::vector<int> before = data;
  for (std::int64_t n = 0; n <= 100; ++n) {
    prefetch(data.data(), n);
    prefetch_to_write(data.data(), n);
  }
  // A hint about memory that is not there is no access to it.
  prefetch(reinterpret_cast<const int*>(std::uintptr_t{64}), 1000);
  prefetch_to_write(reinterpret_cast<int*>(std::uintptr_t{64}), 1000);

  EXPECT_EQ(data, before);
}

}  // namespace
}  // namespace keyshard
