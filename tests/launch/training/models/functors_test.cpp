// The functors of the models with teams of 8 and 32 lanes against one lane. model_test compares
// what one lane computes with formulas.
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "launch/training/dense_block.hpp"
#include "launch/training/dense_side_impl.hpp"
#include "launch/training/models/additive_functors.hpp"
#include "launch/training/models/cross_functors.hpp"
#include "launch/training/models/dense_layer_impl.hpp"
#include "launch/training/models/interaction_functors.hpp"
#include "launch/training/models/model_impl.hpp"
#include "tests/support/sim_team.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kSamples = 21;
const std::vector<std::int64_t> kOffsets{5, 14, 14, 17, 26};  // slices of 9, 0, 3 and 9 samples
const SliceRuns kRuns{kOffsets.data(), 4};

/// Numbers that a test owns, in pieces. Two of the same seed hold the same numbers.
class Numbers {
 public:
  explicit Numbers(unsigned seed) : values_(1 << 16) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (float& value : values_) {
      value = uniform(random);
    }
  }

  float* take(std::int64_t n) {
    float* piece = values_.data() + used_;
    used_ += n;
    EXPECT_LE(used_, static_cast<std::int64_t>(values_.size()));
    return piece;
  }

  /// In rows of a stride that is larger than their width.
  MatrixView<float> matrix(std::int64_t rows, std::int64_t cols) {
    return {take(rows * (cols + 3)), rows, cols, cols + 3};
  }

  SliceMatrices of_slices(std::int64_t cols) {
    return {{take(4 * (cols + 2)), 1, cols, cols}, cols + 2};
  }

  const std::vector<float>& values() const { return values_; }

 private:
  std::vector<float> values_;
  std::int64_t used_ = 0;
};

/// Runs make(numbers) for [0, n) by one lane and by teams; all numbers have the same bits after.
template <class Make>
void expect_no_difference(const std::string& name, std::int64_t n, const Make& make) {
  Numbers solo(7), eight(7), warp(7);
  Serial queue;
  for_each_row(queue, n, make(solo));
  testing::run_rows<8>(n, make(eight));
  testing::run_rows<32>(n, make(warp));
  const std::size_t bytes = solo.values().size() * sizeof(float);
  EXPECT_EQ(std::memcmp(solo.values().data(), eight.values().data(), bytes), 0) << name << ", 8";
  EXPECT_EQ(std::memcmp(solo.values().data(), warp.values().data(), bytes), 0) << name << ", 32";
  EXPECT_NE(std::memcmp(solo.values().data(), Numbers(7).values().data(), bytes), 0)
      << name << " wrote nothing";
}

constexpr std::int64_t kWidths[] = {1, 5, 33, 100};

SliceStatistics statistics_of(Numbers& numbers, std::int64_t units, bool own) {
  SliceStatistics statistics;
  statistics.runs = kRuns;
  float* running = numbers.take(2 * units);
  for (std::int64_t j = 0; j < units; ++j) {
    running[units + j] = 0.5f + 0.25f * running[units + j];
  }
  statistics.running = running;
  if (own) {
    statistics.own = numbers.of_slices(2 * units);
  }
  return statistics;
}

TEST(ModelFunctors, SumsOverTheSamplesOfSlicesAreTheSameForAnyTeam) {
  for (const std::int64_t width : kWidths) {
    expect_no_difference("SumRows", 4, [&](Numbers& numbers) {
      return SumRows{numbers.matrix(kSamples, width), kRuns, numbers.of_slices(width)};
    });
    expect_no_difference("SumSlopedRows", 4, [&](Numbers& numbers) {
      return SumSlopedRows{numbers.matrix(kSamples, width), numbers.take(kSamples), kRuns,
                           numbers.of_slices(width)};
    });
    expect_no_difference("SumNormGradients", 4, [&](Numbers& numbers) {
      return SumNormGradients{numbers.matrix(kSamples, width), numbers.matrix(kSamples, width),
                              kRuns, numbers.of_slices(width), numbers.of_slices(width)};
    });
    for (const bool own : {false, true}) {
      expect_no_difference("TakeStatistics", 4, [&](Numbers& numbers) {
        return TakeStatistics{numbers.matrix(kSamples, width), statistics_of(numbers, width, own),
                              numbers.matrix(4, width)};
      });
    }
  }
}

TEST(ModelFunctors, RowsOfBatchNormAreTheSameForAnyTeam) {
  for (const std::int64_t width : kWidths) {
    for (const bool own : {false, true}) {
      expect_no_difference("NormalizeRow", kSamples, [&](Numbers& numbers) {
        return NormalizeRow{numbers.matrix(kSamples, width),
                            statistics_of(numbers, width, own),
                            numbers.matrix(4, width),
                            numbers.take(width),
                            numbers.take(width),
                            numbers.matrix(kSamples, width)};
      });
      expect_no_difference("PropagateNormRow", kSamples, [&](Numbers& numbers) {
        const BatchNormTrace trace{numbers.matrix(kSamples, width), numbers.matrix(4, width),
                                   statistics_of(numbers, width, own)};
        return PropagateNormRow{numbers.matrix(kSamples, width), trace, numbers.of_slices(width),
                                numbers.of_slices(width), numbers.take(width)};
      });
    }
  }
}

TEST(ModelFunctors, RowsOfLayersAreTheSameForAnyTeam) {
  std::vector<std::int64_t> samples(kSamples);
  for (const std::int64_t width : kWidths) {
    for (const bool bias : {false, true}) {
      expect_no_difference("ActivateRow", kSamples, [&](Numbers& numbers) {
        return ActivateRow{.output = numbers.matrix(kSamples, width),
                           .bias = bias ? numbers.take(width) : nullptr,
                           .relu = true,
                           .drops = bias,
                           .dropout = Dropout(0.25),
                           .context = {3, 1, 8},
                           .layer = 2,
                           .sample_numbers = samples.data()};
      });
    }
    expect_no_difference("PassPositiveRow", kSamples, [&](Numbers& numbers) {
      return PassPositiveRow{numbers.matrix(kSamples, width), 1.5f,
                             numbers.matrix(kSamples, width)};
    });
  }
}

TEST(ModelFunctors, TermsOfALogitAreTheSameForAnyTeam) {
  for (const std::int64_t width : kWidths) {
    expect_no_difference("ConcatenateRow", kSamples, [&](Numbers& numbers) {
      return ConcatenateRow{numbers.matrix(kSamples, width), numbers.matrix(kSamples, 4),
                            numbers.matrix(kSamples, width + 4)};
    });
    expect_no_difference("FillRow", kSamples, [&](Numbers& numbers) {
      return FillRow{numbers.matrix(kSamples, width), 2.0f};
    });
    expect_no_difference("LinearGradientRow", kSamples, [&](Numbers& numbers) {
      return LinearGradientRow{numbers.take(kSamples), numbers.take(9),
                               numbers.matrix(kSamples, width), numbers.matrix(kSamples, 9)};
    });
  }
}

TEST(ModelFunctors, ProductsOfEmbeddingsAreTheSameForAnyTeam) {
  for (const std::int64_t dim : {1, 5, 19, 40}) {
    for (const std::int64_t features : {1, 4, 18}) {
      expect_no_difference("AddPairs", kSamples, [&](Numbers& numbers) {
        return AddPairs{numbers.matrix(kSamples, features * dim), numbers.matrix(kSamples, dim),
                        numbers.matrix(kSamples, dim), numbers.take(kSamples)};
      });
      expect_no_difference("AddPairsGradient", kSamples, [&](Numbers& numbers) {
        return AddPairsGradient{numbers.matrix(kSamples, features * dim),
                                numbers.matrix(kSamples, dim), numbers.take(kSamples),
                                numbers.matrix(kSamples, features * dim)};
      });
    }
  }
}

TEST(ModelFunctors, RowsOfCrossLayersAreTheSameForAnyTeam) {
  for (const std::int64_t width : kWidths) {
    const auto rows = [&](Numbers& numbers) { return numbers.matrix(kSamples, width); };
    expect_no_difference("CrossRow", kSamples, [&](Numbers& numbers) {
      return CrossRow{rows(numbers), rows(numbers), numbers.take(width), rows(numbers),
                      rows(numbers)};
    });
    expect_no_difference("CrossGradientRow", kSamples, [&](Numbers& numbers) {
      return CrossGradientRow{rows(numbers), rows(numbers), rows(numbers), rows(numbers),
                              rows(numbers)};
    });
    expect_no_difference("AddToRow", kSamples, [&](Numbers& numbers) {
      return AddToRow{rows(numbers), rows(numbers)};
    });
    expect_no_difference("SplitRow", kSamples, [&](Numbers& numbers) {
      return SplitRow{numbers.matrix(kSamples, width + 4), rows(numbers),
                      numbers.matrix(kSamples, 4)};
    });
  }
}

TEST(ModelFunctors, DotsOfEmbeddingsAreTheSameForAnyTeam) {
  constexpr std::int64_t kFew = 5;  // samples, of which each has scratch of its own
  for (const std::int64_t dim : {1, 5, 19}) {
    for (const std::int64_t features : {1, 4, 18}) {
      const std::int64_t terms = features + 1, tops = dim + terms * features / 2;
      const std::int64_t dims_stride = Workspace<Cpu>::padded_row(dim);
      const std::int64_t terms_stride = Workspace<Cpu>::padded_row(terms);
      const auto embeddings = [&](Numbers& numbers) {
        return DotTerms{numbers.matrix(kFew, dim), numbers.matrix(kFew, features * dim), terms,
                        dim};
      };
      expect_no_difference("DotsOfRow", kFew, [&](Numbers& numbers) {
        return DotsOfRow{embeddings(numbers), numbers.matrix(kFew, dim * terms_stride),
                         terms_stride, numbers.matrix(kFew, tops)};
      });
      expect_no_difference("DotGradientsOfRow", kFew, [&](Numbers& numbers) {
        return DotGradientsOfRow{.terms = embeddings(numbers),
                                 .terms_scratch = numbers.matrix(kFew, terms * dims_stride),
                                 .terms_stride = dims_stride,
                                 .slopes_scratch = numbers.matrix(kFew, terms * terms_stride),
                                 .slopes_stride = terms_stride,
                                 .top = numbers.matrix(kFew, tops),
                                 .z = numbers.matrix(kFew, dim),
                                 .factors = numbers.matrix(kFew, features * dim)};
      });
    }
  }
}

TEST(ModelFunctors, WorkOnFlatVectorsIsTheSameForAnyTeam) {
  const std::vector<Range> ranges{{100, 100 + 2 * AddL2::kBlock + 7}, {5000, 5003}};
  expect_no_difference("AddL2", 6, [&](Numbers& numbers) {
    return AddL2{ranges.data(), 3, 0.5f, 90, numbers.take(5003), numbers.take(5003 - 90)};
  });
  expect_no_difference("StepDenseBlock", 3, [&](Numbers& numbers) {
    const DenseBlocks blocks{2 * kDenseBlock + 5};
    return StepDenseBlock<Momentum>{.rule = {},
                                    .scalars = {},
                                    .blocks = blocks,
                                    .gradients = numbers.take(blocks.size),
                                    .weights = numbers.take(blocks.size),
                                    .states = numbers.take(blocks.size),
                                    .num_states = 1};
  });
}

TEST(ModelFunctors, BlocksWithANumberThatIsNotFiniteAreFlagged) {
  constexpr std::int64_t kBlock = FlagNonFinite::kBlock;
  std::vector<float> values(3 * kBlock + 1, 3e38f);
  values[kBlock + 77] = -std::numeric_limits<float>::infinity();
  values[3 * kBlock] = std::numeric_limits<float>::quiet_NaN();
  std::vector<std::int32_t> solo(4, -1), team(4, -1);
  const auto size = static_cast<std::int64_t>(values.size());
  Serial queue;
  for_each_row(queue, 4, FlagNonFinite{values.data(), size, solo.data()});
  testing::run_rows<32>(4, FlagNonFinite{values.data(), size, team.data()});
  EXPECT_EQ(solo, (std::vector<std::int32_t>{0, 1, 0, 1}));
  EXPECT_EQ(team, solo);
}

TEST(SliceRuns, FindTheSliceOfASample) {
  const std::vector<std::int64_t> expected{0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2,
                                           2, 3, 3, 3, 3, 3, 3, 3, 3, 3};
  for (std::int64_t sample = 0; sample < kSamples; ++sample) {
    EXPECT_EQ(kRuns.slice_of(sample), expected[static_cast<std::size_t>(sample)]) << sample;
  }
}

}  // namespace
}  // namespace keyshard
