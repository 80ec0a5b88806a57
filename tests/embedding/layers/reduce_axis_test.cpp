// The reduction of an axis and its gradient with teams of 8 and 32 lanes against one lane, bit for
// bit, for every combiner.
#include "embedding/layers/reduce_axis.hpp"

#include <gtest/gtest.h>

#include "tests/support/lanes.hpp"

namespace keyshard {
namespace {

using testing::random_floats;

TEST(ReduceAxis, HasTheSameBitsAtEveryWidth) {
  testing::for_alternatives<Combiner>([](auto combiner) {
    using C = decltype(combiner);
    SCOPED_TRACE(C::kName);
    for (const std::int64_t columns : testing::kDims) {
      for (const std::int64_t n : {0, 3}) {
        const std::vector<float> in = random_floats(2 * n * columns, 8);
        const std::vector<float> upstream = random_floats(2 * columns, 9);
        testing::expect_same_bits([&](const testing::Lanes& lanes) {
          std::vector<float> out(static_cast<std::size_t>(2 * columns));
          std::vector<float> gradient(in.size());
          const ReduceAxis<C> forward{in.data(), n, columns, 0, out.data()};
          lanes.rows(2, forward);
          lanes.rows(2, ReduceAxisGradient<C>{forward, upstream.data(), gradient.data()});
          testing::Bits bits;
          bits.add(out);
          bits.add(gradient);
          return bits;
        });
      }
    }
  });
}

/// Two samples of three vectors of two inner places, of which some are absent.
template <class C>
testing::Bits reduced_with_absent(const testing::Lanes& lanes, std::int64_t dim,
                                  const std::vector<std::uint8_t>& present) {
  const std::int64_t n = 3, inner = 2, columns = inner * dim;
  const std::vector<float> in = random_floats(2 * n * columns, 8);
  const std::vector<float> upstream = random_floats(2 * columns, 9);
  std::vector<float> out(static_cast<std::size_t>(2 * columns)), gradient(in.size());
  std::vector<std::uint8_t> left(4);
  const ReduceAxis<C> forward{.in = in.data(),
                              .n = n,
                              .columns = columns,
                              .empty = 0,
                              .out = out.data(),
                              .present = present.data(),
                              .dim = dim,
                              .out_present = left.data()};
  lanes.rows(2, forward);
  lanes.rows(2, ReduceAxisGradient<C>{forward, upstream.data(), gradient.data()});
  EXPECT_EQ(left, (std::vector<std::uint8_t>{1, 1, 0, 1}));
  for (std::int64_t c = 0; c < dim; ++c) {
    // Sample 1, place 0: all are absent.
    EXPECT_EQ(out[static_cast<std::size_t>(columns + c)], 0);
    for (std::int64_t i = 0; i < n; ++i) {
      EXPECT_EQ(gradient[static_cast<std::size_t>((n + i) * columns + c)], 0);
    }
    // Sample 1, place 1: only the second is present, so it is the result and has the gradient.
    const auto at = static_cast<std::size_t>((n + 1) * columns + dim + c);
    if constexpr (std::is_same_v<C, Sum>) {
      EXPECT_EQ(out[static_cast<std::size_t>(columns + dim + c)], in[at]);
      EXPECT_EQ(gradient[at], upstream[static_cast<std::size_t>(columns + dim + c)]);
    }
  }
  testing::Bits bits;
  bits.add(out);
  bits.add(gradient);
  return bits;
}

TEST(ReduceAxis, LeavesOutWhatIsAbsentAtEveryWidth) {
  const std::vector<std::uint8_t> present{1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0};
  testing::for_alternatives<Combiner>([&](auto combiner) {
    using C = decltype(combiner);
    SCOPED_TRACE(C::kName);
    for (const std::int64_t dim : testing::kDims) {
      testing::expect_same_bits(
          [&](const testing::Lanes& lanes) { return reduced_with_absent<C>(lanes, dim, present); });
    }
  });
}

}  // namespace
}  // namespace keyshard
