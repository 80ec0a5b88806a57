#include "runtime/primitives.hpp"

#include <cmath>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/hash.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/sim_team.hpp"

namespace keyshard {
namespace {

std::vector<std::uint32_t> numbers(const Buffer<std::uint32_t, Cpu>& buffer) {
  return {buffer.data(), buffer.data() + buffer.size()};
}

/// body(stream, n) for 1 to 3 threads and sizes about their number.
template <class Body>
void for_sizes(const Body& body) {
  for (const int threads : testing::thread_counts({1, 2, 3})) {
    Stream<Cpu> stream(threads, 0);
    for (const std::int64_t n : {0, 1, 2, 3, 7, 1000}) {
      body(stream, n);
    }
  }
}

TEST(Scan, SumsTheTermsBeforeEachElementAndAll) {
  for_sizes([](Stream<Cpu>& stream, std::int64_t n) {
    const auto term = [](std::int64_t i) { return i * i % 17 - 5; };
    std::vector<std::int64_t> expected{0};
    for (std::int64_t i = 0; i < n; ++i) {
      expected.push_back(expected.back() + term(i));
    }
    std::vector<std::int64_t> sums(static_cast<std::size_t>(n) + 1, -1);
    scan(stream, n, term, sums.data());
    EXPECT_EQ(sums, expected) << n;
  });
}

TEST(Scan, TurnsCountsIntoOffsetsInPlace) {
  for_sizes([](Stream<Cpu>& stream, std::int64_t n) {
    std::vector<std::uint32_t> counts(static_cast<std::size_t>(n) + 1, 3);
    scan(
        stream, n, [&](std::int64_t i) { return counts[static_cast<std::size_t>(i)]; },
        counts.data());
    for (std::size_t i = 0; i < counts.size(); ++i) {
      EXPECT_EQ(counts[i], 3 * i);
    }
  });
}

TEST(Select, NumbersTheChosenElementsInOrder) {
  for_sizes([](Stream<Cpu>& stream, std::int64_t n) {
    const auto chosen = [](std::int64_t i) {
      return mix64(static_cast<std::uint64_t>(i)) % 3 == 0;
    };
    std::vector<std::uint32_t> expected;
    for (std::int64_t i = 0; i < n; ++i) {
      if (chosen(i)) {
        expected.push_back(static_cast<std::uint32_t>(i));
      }
    }
    EXPECT_EQ(numbers(select(stream, n, chosen)), expected) << n;
    EXPECT_EQ(select(stream, n, [](std::int64_t) { return false; }).size(), 0);
    EXPECT_EQ(select(stream, n, [](std::int64_t) { return true; }).size(), n);
  });
}

TEST(Unique, FindsWhereRunsOfEqualKeysStart) {
  const std::vector<Key> keys{0, 0, 1, 5, 5, 5, 7, 0, ~Key{0}, ~Key{0}};
  for (const int threads : testing::thread_counts({1, 2, 3, 10})) {
    Stream<Cpu> stream(threads, 0);
    const auto key = [&](std::int64_t i) { return keys[static_cast<std::size_t>(i)]; };
    EXPECT_EQ(numbers(unique(stream, 10, key)), (std::vector<std::uint32_t>{0, 2, 3, 6, 7, 8}));
    EXPECT_EQ(numbers(unique(stream, 1, key)), (std::vector<std::uint32_t>{0}));
    EXPECT_EQ(unique(stream, 0, key).size(), 0);
  }
}

/// Terms that depend on their run: (i + 1) * run.
struct RunTerms {
  struct Term {
    std::int64_t run;

    std::int64_t operator()(std::int64_t i) const { return (i + 1) * run; }
  };

  template <class Body>
  void with_run(std::int64_t run, const Body& body) const {
    body(Term{run});
  }
};

TEST(SumRuns, SumsTheTermsOfEachRunAlsoOfEmptyOnes) {
  const std::vector<std::int64_t> starts{0, 0, 2, 3, 3, 7};
  for (const int threads : testing::thread_counts({1, 2, 3, 10})) {
    Stream<Cpu> stream(threads, 0);
    // Run 1: terms 1 and 2; run 2: twice 3; run 4: four times 4 + 5 + 6 + 7.
    EXPECT_EQ(sum_runs(stream, starts, RunTerms{}), (std::vector<std::int64_t>{0, 3, 6, 0, 88}));
    EXPECT_EQ(sum(stream, 5, [](std::int64_t i) { return i * i; }), 30);
    EXPECT_EQ(sum(stream, 0, [](std::int64_t i) { return i; }), 0);
  }
}

/// Chooses the odd terms of odd runs and the even ones of even runs.
struct Chosen {
  struct Term {
    std::int64_t run;

    bool operator()(std::int64_t i) const { return i % 2 == run % 2; }
  };

  template <class Body>
  void with_run(std::int64_t run, const Body& body) const {
    body(Term{run});
  }
};

TEST(SelectRuns, NumbersTheChosenElementsAndSaysWhereThoseOfARunStart) {
  const std::vector<std::int64_t> starts{0, 3, 3, 6, 8};
  for (const int threads : testing::thread_counts({1, 2, 3, 10})) {
    Stream<Cpu> stream(threads, 0);
    const Selection<Cpu> chosen = select_runs(stream, starts, Chosen{});
    EXPECT_EQ(numbers(chosen.indices), (std::vector<std::uint32_t>{0, 2, 4, 7}));
    EXPECT_EQ(chosen.starts, (std::vector<std::int64_t>{0, 2, 2, 3, 4}));
  }
}

TEST(GroupBy, PutsElementsIntoBucketsInTheirOrder) {
  for_sizes([](Stream<Cpu>& stream, std::int64_t n) {
    const auto bucket = [](std::int64_t i) { return (i * 5) % 3; };
    const Selection<Cpu> groups = group_by(stream, n, 4, bucket);
    std::vector<std::uint32_t> expected;
    std::vector<std::int64_t> starts;
    for (std::int64_t b = 0; b < 4; ++b) {
      starts.push_back(static_cast<std::int64_t>(expected.size()));
      for (std::int64_t i = 0; i < n; ++i) {
        if (bucket(i) == b) {
          expected.push_back(static_cast<std::uint32_t>(i));
        }
      }
    }
    starts.push_back(n);
    EXPECT_EQ(numbers(groups.indices), expected);
    EXPECT_EQ(groups.starts, starts);
  });
}

/// Segments of terms with ascending numbers: none, one, several of one number, of several numbers.
struct Segments {
  std::vector<std::uint32_t> offsets{0, 0, 1, 4, 8, 14, 14};
  std::vector<std::int64_t> numbers{3, 2, 2, 2, 0, 1, 1, 4, 1, 3, 3, 3, 6, 7};
  std::int64_t dim;
  std::vector<float> terms;

  explicit Segments(std::int64_t width) : dim(width) {
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

TEST(FoldSegments, AddsEqualNumbersInOrderAndOthersInTheTree) {
  for (const std::int64_t dim : {1, 4, 16, 33, 70}) {
    const Segments in(dim);
    for (const int threads : testing::thread_counts({1, 2, 3})) {
      Stream<Cpu> stream(threads, 0);
      std::vector<float> out(static_cast<std::size_t>(6 * dim), -1);
      fold_segments(
          stream, 6, in.offsets.data(), dim,
          [&](std::int64_t k) { return in.numbers[static_cast<std::size_t>(k)]; },
          [&](std::int64_t k) { return in.terms.data() + k * dim; }, out.data());
      for (std::size_t s = 0; s < 6; ++s) {
        for (std::int64_t d = 0; d < dim; ++d) {
          EXPECT_EQ(out[s * static_cast<std::size_t>(dim) + static_cast<std::size_t>(d)],
                    in.sum(s, d))
              << "segment " << s << " column " << d << " of " << dim;
        }
      }
    }
  }
}

struct NumberOf {
  const std::int64_t* numbers;

  std::int64_t operator()(std::int64_t k) const { return numbers[k]; }
};

struct TermOf {
  const float* terms;
  std::int64_t dim;

  const float* operator()(std::int64_t k) const { return terms + k * dim; }
};

TEST(FoldSegments, HasTheSameBitsAtEveryWidthOfATeam) {
  for (const std::int64_t dim : {1, 16, 33, 70}) {
    const Segments in(dim);
    const auto run = [&](auto with_team) {
      std::vector<float> out(static_cast<std::size_t>(6 * dim), -1);
      with_team(FoldSegment<1, float, NumberOf, TermOf>{
          in.offsets.data(), dim, {in.numbers.data()}, {in.terms.data(), dim}, out.data()});
      return out;
    };
    const std::vector<float> solo = run([](const auto& f) { run_rows(0, 6, f); });
    EXPECT_EQ(run([](const auto& f) { testing::run_rows<8>(6, f); }), solo) << dim;
    EXPECT_EQ(run([](const auto& f) { testing::run_rows<32>(6, f); }), solo) << dim;
  }
}

}  // namespace
}  // namespace keyshard
