#include "runtime/team.hpp"

#include <bit>
#include <cmath>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "runtime/fold.hpp"
#include "tests/support/sim_team.hpp"

namespace keyshard {
namespace {

using testing::run_rows;
using testing::run_team;
using testing::SimTeam;

/// Terms of very different sizes, so that every order of addition has its own bits.
float term(std::int64_t i) {
  return std::ldexp(1.0f + 1.0f / static_cast<float>(i + 3), static_cast<int>(i * 7 % 23)) *
         (i % 3 == 1 ? -1.0f : 1.0f);
}

std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }

/// sums[i] = the strided sum of i terms, written by lane 0; other lanes must have the same sum.
struct SumRow {
  float* sums;
  std::int64_t width;

  template <class Team>
  void operator()(std::int64_t i, const Team& team) const {
    sums[i * width + team.thread_rank()] = strided_sum<float>(team, i, term);
  }
};

/// A fold of vectors over the numbers 0, step, 2 step ... below 64; the sum goes to out + i * dim.
struct FoldRow {
  float* stacks;
  std::int64_t dim;
  float* out;

  template <class Team>
  void operator()(std::int64_t i, const Team& team) const {
    Fold<float> fold(stacks + i * Fold<float>::kDepth * dim, dim);
    for (std::int64_t number = i; number < 64; number += i + 1) {
      float* to = fold.push(team, number);
      for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
        to[d] = term(number * dim + d);
      }
    }
    const float* sum = fold.finish(team);
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      out[i * dim + d] = sum[d];
    }
  }
};

template <int kWidth>
void expect_strided_sums() {
  constexpr std::int64_t kRows = 70;
  std::vector<float> sums(kRows * kWidth), one(kRows);
  run_rows<kWidth>(kRows, SumRow{sums.data(), kWidth});
  for (std::int64_t i = 0; i < kRows; ++i) {
    SumRow{one.data(), 1}(i, Solo{});
    for (std::int64_t lane = 0; lane < kWidth; ++lane) {
      EXPECT_EQ(bits(sums[static_cast<std::size_t>(i * kWidth + lane)]),
                bits(one[static_cast<std::size_t>(i)]))
          << i << " terms, lane " << lane << " of " << kWidth;
    }
  }
}

std::vector<std::uint32_t> folded(std::int64_t dim, const auto& run) {
  constexpr std::int64_t kRows = 16;
  std::vector<float> stacks(static_cast<std::size_t>(kRows * Fold<float>::kDepth * dim));
  std::vector<float> out(static_cast<std::size_t>(kRows * dim));
  run(kRows, FoldRow{stacks.data(), dim, out.data()});
  std::vector<std::uint32_t> words;
  for (const float x : out) {
    words.push_back(bits(x));
  }
  return words;
}

TEST(Team, StridedSumHasTheSameBitsAtEveryWidthAndOnEveryLane) {
  expect_strided_sums<2>();
  expect_strided_sums<8>();
  expect_strided_sums<16>();
  expect_strided_sums<32>();
}

TEST(Team, FoldHasTheSameBitsAtEveryWidth) {
  for (const std::int64_t dim : {1, 5, 8, 40}) {
    const auto solo = folded(dim, [](std::int64_t n, const FoldRow& functor) {
      for (std::int64_t i = 0; i < n; ++i) {
        functor(i, Solo{});
      }
    });

    EXPECT_EQ(folded(dim, [](auto n, const FoldRow& f) { run_rows<8>(n, f); }), solo);
    EXPECT_EQ(folded(dim, [](auto n, const FoldRow& f) { run_rows<32>(n, f); }), solo);
  }
}

TEST(SimTeam, GivesEveryLaneWhatACollectiveSays) {
  run_team<8>([](const SimTeam& team) {
    const int lane = team.thread_rank();

    EXPECT_EQ(team.num_threads(), 8);
    EXPECT_EQ(team.ballot(lane % 3 == 0), 0b01001001u);
    EXPECT_TRUE(team.any(lane == 5));
    EXPECT_FALSE(team.any(false));
    EXPECT_TRUE(team.all(lane < 8));
    EXPECT_FALSE(team.all(lane != 2));
    EXPECT_EQ(team.shfl(10 * lane, (lane + 3) % 8), 10 * ((lane + 3) % 8));
    EXPECT_EQ(team.shfl(0.5 + lane, 7), 7.5);
  });
}

TEST(SimTeam, LetsALaneSeeWhatOthersWroteBeforeSync) {
  std::vector<int> written(32, -1);

  run_team<32>([&](const SimTeam& team) {
    written[static_cast<std::size_t>(team.thread_rank())] = team.thread_rank();
    team.sync();
    EXPECT_EQ(written[static_cast<std::size_t>(31 - team.thread_rank())], 31 - team.thread_rank());
  });
}

std::string message_of(const std::function<void(const SimTeam&)>& body) {
  try {
    run_team<4>(body);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(SimTeam, NamesTheCollectivesOfLanesThatWentApart) {
  EXPECT_NE(message_of([](const SimTeam& team) {
              team.thread_rank() == 2 ? team.sync() : void(team.any(true));
            }).find("lane 0 is at any, lane 2 at sync"),
            std::string::npos);
}

TEST(SimTeam, FindsALaneThatReturnsBeforeTheOthers) {
  EXPECT_NE(message_of([](const SimTeam& team) {
              if (team.thread_rank() != 3) {
                team.sync();
              }
            }).find("lane 0 is at sync, lane 3 at the end"),
            std::string::npos);
}

TEST(SimTeam, ThrowsWhatALaneThrew) {
  EXPECT_EQ(message_of([](const SimTeam& team) {
              if (team.thread_rank() == 1) {
                throw std::runtime_error("lane 1 has had enough");
              }
              team.sync();
            }),
            "lane 1 has had enough");
}

}  // namespace
}  // namespace keyshard
