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

/// The terms of RunTerms, and where each was told that it stands.
struct PlaceTerms {
  std::int64_t* before_of;

  template <class Body>
  void with_run(std::int64_t run, const Body& body) const {
    RunTerms{}.with_run(run, [&](const auto& term) {
      body([&](std::int64_t i, std::int64_t before) {
        before_of[i] = before;
        return term(i);
      });
    });
  }
};

TEST(FinishSums, TellsEachIndexTheSumOfItsRunBeforeIt) {
  const std::vector<std::int64_t> starts{0, 0, 2, 3, 3, 7};
  for (const int threads : testing::thread_counts({1, 2, 3, 10})) {
    Stream<Cpu> stream(threads, 0);
    const RunSums<Cpu> sums = begin_sums(stream, starts, RunTerms{});
    EXPECT_EQ(sums.of_runs, (std::vector<std::int64_t>{0, 3, 6, 0, 88}));
    std::vector<std::int64_t> before(7);
    finish_sums(stream, starts, sums, PlaceTerms{before.data()});
    // Run 4: four times 4, 5, 6 and 7.
    EXPECT_EQ(before, (std::vector<std::int64_t>{0, 1, 0, 0, 16, 36, 60}));
  }
}

/// Rows of RunTerms, with and without `fetch`.
struct ReturnTerms {
  template <class Term>
  struct Row {
    Term term;

    std::int64_t fetch(std::int64_t i) const { return term(i); }

    std::int64_t operator()(std::int64_t i, const Solo& /*team*/, std::int64_t fetched) const {
      EXPECT_EQ(fetched, term(i));
      return fetched;
    }
  };

  template <class Body>
  void with_run(std::int64_t run, const Body& body) const {
    RunTerms{}.with_run(run,
                        [&](const auto& term) { body(Row<std::decay_t<decltype(term)>>{term}); });
  }
};

TEST(SumRows, SumsWhatTheRowsOfEachRunReturn) {
  const std::vector<std::int64_t> starts{0, 0, 2, 3, 3, 7};
  for (const int threads : testing::thread_counts({1, 2, 3, 10})) {
    Stream<Cpu> stream(threads, 0);
    EXPECT_EQ(sum_rows(stream, starts, ReturnTerms{}), (std::vector<std::int64_t>{0, 3, 6, 0, 88}));
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

TEST(Largest, IsTheLargestTermOrZero) {
  for_sizes([](Stream<Cpu>& stream, std::int64_t n) {
    EXPECT_EQ(largest(stream, n, [n](std::int64_t i) { return 3 * (n - i); }), 3 * n);
    EXPECT_EQ(largest(stream, n, [](std::int64_t i) { return -i; }), 0);
  });
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

}  // namespace
}  // namespace keyshard
