#include "runtime/fold.hpp"

#include <bit>
#include <optional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/runs.hpp"
#include "runtime/team.hpp"

namespace keyshard {
namespace {

/// The definition: the sum of a subtree is the sum of its halves, where an absent half is skipped.
std::optional<float> tree_sum(const std::vector<std::optional<float>>& terms, std::size_t begin,
                              std::size_t size) {
  if (size == 1) {
    return terms[begin];
  }
  const auto left = tree_sum(terms, begin, size / 2);
  const auto right = tree_sum(terms, begin + size / 2, size / 2);
  if (left && right) {
    return *left + *right;
  }
  return left ? left : right;
}

std::optional<float> fold(const std::vector<std::optional<float>>& terms, std::size_t begin,
                          std::size_t end) {
  float stack[Fold<float>::kDepth];
  Fold<float> fold(stack, 1);
  for (std::size_t i = begin; i < end; ++i) {
    if (terms[i]) {
      *fold.push(Solo{}, static_cast<std::int64_t>(i)) = *terms[i];
    }
  }
  const float* sum = fold.finish(Solo{});
  return sum == nullptr ? std::nullopt : std::optional(*sum);
}

std::vector<std::optional<float>> terms_of(unsigned subset, std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<std::optional<float>> terms(n);
  for (std::size_t i = 0; i < n; ++i) {
    const float value = uniform(random) * static_cast<float>(1 << (random() % 20));
    if (subset >> i & 1u) {
      terms[i] = value;
    }
  }
  return terms;
}

bool same_bits(std::optional<float> a, std::optional<float> b) {
  return a.has_value() == b.has_value() &&
         (!a || std::bit_cast<std::uint32_t>(*a) == std::bit_cast<std::uint32_t>(*b));
}

TEST(Fold, EqualsItsRecursiveDefinitionOnAllSubsetsOfEight) {
  for (unsigned subset = 0; subset < 256; ++subset) {
    const auto terms = terms_of(subset, 8, 17 + subset);

    EXPECT_TRUE(same_bits(fold(terms, 0, 8), tree_sum(terms, 0, 8))) << "subset " << subset;
  }
}

TEST(Fold, OfFoldsOverTheNodesOfRanksHasTheSameBits) {
  constexpr std::size_t kSlices = 16;
  for (unsigned seed = 0; seed < 50; ++seed) {
    const auto terms = terms_of(0x10001u * (0xACE1u + 7919u * seed), kSlices, seed);
    for (std::int64_t ranks : {1, 2, 3, 4, 5, 8, 16, 19}) {
      std::vector<std::optional<float>> partials(kSlices);
      for (std::int64_t rank = 0; rank < ranks; ++rank) {
        for (const Range& node : nodes_of(run_of(rank, ranks, kSlices))) {
          partials[static_cast<std::size_t>(node.begin)] =
              fold(terms, static_cast<std::size_t>(node.begin), static_cast<std::size_t>(node.end));
        }
      }

      EXPECT_TRUE(same_bits(fold(partials, 0, kSlices), tree_sum(terms, 0, kSlices)))
          << "ranks " << ranks << " seed " << seed;
    }
  }
}

TEST(Fold, OfThreeTermsIsLeftOrRightByTheirNumbers) {
  for (std::uint64_t a = 0; a < 16; ++a) {
    for (std::uint64_t b = a + 1; b < 16; ++b) {
      for (std::uint64_t c = b + 1; c < 16; ++c) {
        std::vector<std::optional<float>> terms(16);
        terms[a] = 1;
        terms[b] = terms[c] = 0x1p-24f;
        const float left = (1 + 0x1p-24f) + 0x1p-24f, right = 1 + (0x1p-24f + 0x1p-24f);
        ASSERT_NE(left, right);
        EXPECT_EQ(tree_sum(terms, 0, 16), folds_left(a, b, c) ? left : right)
            << a << " " << b << " " << c;
      }
      EXPECT_TRUE(folds_left(a, a, b));
      EXPECT_FALSE(folds_left(a, b, b));
    }
    EXPECT_TRUE(folds_left(a, a, a));
  }
}

TEST(Fold, KeepsTheSignOfANegativeZero) {
  const std::vector<std::optional<float>> terms{std::nullopt, -0.0f, std::nullopt, -0.0f};

  EXPECT_TRUE(std::signbit(*fold(terms, 0, 4)));
}

TEST(Runs, CoverAllNumbersAndKnowTheirOwner) {
  for (std::int64_t n : {1, 4, 16, 1024}) {
    for (std::int64_t ranks = 1; ranks <= 20; ++ranks) {
      std::int64_t next = 0;
      for (std::int64_t rank = 0; rank < ranks; ++rank) {
        const Range run = run_of(rank, ranks, n);
        EXPECT_EQ(run.begin, next);
        for (std::int64_t i = run.begin; i < run.end; ++i) {
          EXPECT_EQ(owner_of(i, ranks, n), rank);
        }
        next = run.end;
      }
      EXPECT_EQ(next, n);
    }
  }
}

TEST(Runs, AreCutIntoMaximalNodes) {
  EXPECT_EQ(nodes_of({5, 10}), (std::vector<Range>{{5, 6}, {6, 8}, {8, 10}}));
  EXPECT_EQ(nodes_of({0, 16}), (std::vector<Range>{{0, 16}}));
  EXPECT_EQ(nodes_of({0, 5}), (std::vector<Range>{{0, 4}, {4, 5}}));
  EXPECT_TRUE(nodes_of({3, 3}).empty());
}

TEST(StridedSum, AddsThirtyTwoPartialsAndTheirTree) {
  std::vector<float> terms(100);
  for (std::size_t i = 0; i < terms.size(); ++i) {
    terms[i] = 1.0f / static_cast<float>(i + 1);
  }
  float partial[32] = {};
  for (std::size_t i = 0; i < terms.size(); ++i) {
    partial[i % 32] += terms[i];
  }
  for (int step = 16; step > 0; step /= 2) {
    for (int p = 0; p < step; ++p) {
      partial[p] += partial[p + step];
    }
  }

  EXPECT_EQ(strided_sum<float>(Solo{}, 100,
                               [&](std::int64_t i) { return terms[static_cast<std::size_t>(i)]; }),
            partial[0]);
}

/// Runs of terms with ascending numbers: none, one, several of one number, of several numbers.
struct Terms {
  std::vector<std::uint32_t> offsets{0, 0, 1, 4, 8, 14, 14};
  std::vector<std::int64_t> numbers{3, 2, 2, 2, 0, 1, 1, 4, 1, 3, 3, 3, 6, 7};
  std::int64_t dim;
  std::vector<float> terms;

  explicit Terms(std::int64_t width) : dim(width) {
    for (std::int64_t i = 0; i < width * 14; ++i) {
      terms.push_back(
          std::ldexp(1.0f + 1.0f / static_cast<float>(i + 3), static_cast<int>(i * 7 % 23)) *
          (i % 3 == 1 ? -1.0f : 1.0f));
    }
  }

  float at(std::size_t k, std::int64_t d) const {
    return terms[k * static_cast<std::size_t>(dim) + static_cast<std::size_t>(d)];
  }

  /// The sums by hand: of equal numbers in their order, then the tree over numbers.
  float sum(std::size_t segment, std::int64_t d) const {
    const auto t = [&](std::size_t k) { return at(k, d); };
    switch (segment) {
      case 1:
        return t(0);
      case 2:
        return (t(1) + t(2)) + t(3);
      case 3:  // 0 | 1 1 | 4
        return (t(4) + (t(5) + t(6))) + t(7);
      case 4:  // 1 | 3 3 3 | 6 | 7
        return (t(8) + ((t(9) + t(10)) + t(11))) + (t(12) + t(13));
      default:
        return -1;  // what was there before
    }
  }
};

TEST(FoldTerms, AddsEqualNumbersInOrderAndOthersInTheTree) {
  for (const std::int64_t dim : {1, 4, 33}) {
    const Terms in(dim);
    for (std::size_t s = 0; s < 6; ++s) {
      std::vector<float> stack(static_cast<std::size_t>(Fold<float>::kDepth * dim));
      Fold fold(stack.data(), dim);
      fold_terms(
          fold, in.offsets[s], in.offsets[s + 1],
          [&](std::int64_t k) { return in.numbers[static_cast<std::size_t>(k)]; },
          [&](std::int64_t k, float* sum, bool starts) {
            for (std::int64_t d = 0; d < dim; ++d) {
              const float term = in.at(static_cast<std::size_t>(k), d);
              sum[d] = starts ? term : sum[d] + term;
            }
          });
      const float* sum = fold.finish(Solo{});
      EXPECT_EQ(sum == nullptr, in.offsets[s] == in.offsets[s + 1]);
      for (std::int64_t d = 0; sum != nullptr && d < dim; ++d) {
        EXPECT_EQ(sum[d], in.sum(s, d)) << "run " << s << " column " << d << " of " << dim;
      }
    }
  }
}

}  // namespace
}  // namespace keyshard
