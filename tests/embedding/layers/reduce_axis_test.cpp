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

}  // namespace
}  // namespace keyshard
