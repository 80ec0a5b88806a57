// Folds of vectors against hand work, and the same bits with teams of any width.
#include "runtime/fold_vectors.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sim_team.hpp"

namespace keyshard {
namespace {

TEST(FoldVectors, AddsTermsInTheShapeOfTheTreeOverTheirNumbers) {
  // 1e8 + 3 is 1e8 in float: the order of adding is seen.
  const std::vector<float> a{1e8f, 1}, b{3, 1}, c{3, 1}, d{3, 1};
  const std::vector<VectorTerm<float>> terms{{0, a.data()}, {1, b.data()}, {2, c.data()},
                                             {3, d.data()}, {1, b.data()}, {2, c.data()}};
  const std::vector<std::int64_t> offsets{0, 4, 4, 6};
  std::vector<float> sums(6, -1);
  Stream<Cpu> stream;
  fold_vectors(stream, Span<const VectorTerm<float>>(terms), Span<const std::int64_t>(offsets), 2,
               sums.data());
  EXPECT_EQ(sums, (std::vector<float>{(1e8f + 3.0f) + (3.0f + 3.0f), 4, 0, 0, 6, 2}));
}

TEST(FoldVectors, BitsDoNotDependOnTeams) {
  const std::int64_t size = 2 * FoldVectors<float>::kBlock + 3;
  std::vector<std::vector<float>> vectors;
  std::vector<VectorTerm<float>> terms;
  for (std::int64_t k = 0; k < 13; ++k) {
    std::vector<float>& vector = vectors.emplace_back();
    for (std::int64_t d = 0; d < size; ++d) {
      vector.push_back(static_cast<float>((k * 37 + d * 11) % 101 - 50) / 7.0f);
    }
    terms.push_back({k + k / 3, vector.data()});
  }
  const std::vector<std::int64_t> offsets{0, 5, 13};
  std::vector<float> solo(static_cast<std::size_t>(2 * size)), team(solo);
  const auto fold = [&](std::vector<float>& sums) {
    return FoldVectors<float>{terms.data(), offsets.data(), size, 3, 7, sums.data()};
  };
  for (std::int64_t i = 0; i < 6; ++i) {
    fold(solo)(i, Solo{});
  }
  testing::run_rows<8>(6, fold(team));
  EXPECT_EQ(solo, team);
}

}  // namespace
}  // namespace keyshard
