// The primitives of a device against loops, on the simulated device.
#include <algorithm>

#include "runtime/hash.hpp"
#include "runtime/primitives_cuda.hpp"
#include "tests/sim/sim_test.hpp"

namespace keyshard {
namespace {

using testing::for_seeds;
using Primitives = testing::SimTest;

constexpr std::int64_t kSizes[] = {0, 1, 31, 32, 33, 1000};

std::int64_t number(std::int64_t i) {
  return static_cast<std::int64_t>(mix64(static_cast<std::uint64_t>(i)) % 17);
}

struct Number {
  const std::int64_t* numbers;

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const { return numbers[i]; }
};

std::vector<std::int64_t> numbers(std::int64_t n) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < n; ++i) {
    all.push_back(number(i));
  }
  return all;
}

TEST_F(Primitives, ScanSumsTheTermsBeforeEachElementAndAll) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    for (const std::int64_t n : kSizes) {
      const Buffer<std::int64_t, Cuda> in = to_device(stream, numbers(n));
      Buffer<std::int64_t, Cuda> sums(stream, n + 1);
      scan(stream, n, Number{in.data()}, sums.data());
      std::vector<std::int64_t> expected{0};
      for (std::int64_t i = 0; i < n; ++i) {
        expected.push_back(expected.back() + number(i));
      }
      EXPECT_EQ(to_host(stream, sums), expected) << n;
    }
  });
}

/// Every third run has no terms.
struct NumbersOfRuns {
  const std::int64_t* numbers;

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t run, const Body& body) const {
    if (run % 3 != 2) {
      body(Number{numbers});
    }
  }
};

const std::vector<std::int64_t> kStarts{0, 0, 5, 40, 41, 1000};

std::vector<std::int64_t> sums_of_runs() {
  std::vector<std::int64_t> sums;
  for (std::size_t run = 0; run + 1 < kStarts.size(); ++run) {
    sums.push_back(0);
    for (std::int64_t i = kStarts[run]; run % 3 != 2 && i < kStarts[run + 1]; ++i) {
      sums.back() += number(i);
    }
  }
  return sums;
}

TEST_F(Primitives, SumsOfRunsAreThoseOfTheirTerms) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    const Buffer<std::int64_t, Cuda> in = to_device(stream, numbers(1000));
    EXPECT_EQ(sum_runs(stream, Span<const std::int64_t>(kStarts), NumbersOfRuns{in.data()}),
              sums_of_runs());
  });
}

/// Each lane of a team returns a part of the number of its row.
struct PartsOfRuns {
  static constexpr int kTeamWidth = 8;

  struct Row {
    const std::int64_t* numbers;

    template <class Team>
    KEYSHARD_HD std::int64_t operator()(std::int64_t i, const Team& team) const {
      const std::int64_t all = numbers[i], lanes = team.num_threads();
      return all / lanes + (team.thread_rank() < all % lanes ? 1 : 0);
    }
  };

  const std::int64_t* numbers;

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t run, const Body& body) const {
    if (run % 3 != 2) {
      body(Row{numbers});
    }
  }
};

TEST_F(Primitives, SumsOfRowsAddWhatLanesReturn) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    const Buffer<std::int64_t, Cuda> in = to_device(stream, numbers(1000));
    EXPECT_EQ(sum_rows(stream, Span<const std::int64_t>(kStarts), PartsOfRuns{in.data()}),
              sums_of_runs());
  });
}

/// Writes a number and counts it afterwards.
struct CountedRuns {
  struct Row {
    const std::int64_t* numbers;
    std::int64_t* out;

    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
      if (team.thread_rank() == team.num_threads() - 1) {
        out[i] = numbers[i];
      }
    }

    KEYSHARD_HD std::int64_t after(std::int64_t begin, std::int64_t end) const {
      std::int64_t sum = 0;
      for (; begin < end; ++begin) {
        sum += out[begin];
      }
      return sum;
    }
  };

  const std::int64_t* numbers;
  std::int64_t* out;

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t run, const Body& body) const {
    if (run % 3 != 2) {
      body(Row{numbers, out});
    }
  }
};

TEST_F(Primitives, SumsOfRowsCountWhatAllLanesHaveWritten) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    const Buffer<std::int64_t, Cuda> in = to_device(stream, numbers(1000));
    Buffer<std::int64_t, Cuda> out(stream, 1000);
    EXPECT_EQ(
        sum_rows(stream, Span<const std::int64_t>(kStarts), CountedRuns{in.data(), out.data()}),
        sums_of_runs());
  });
}

struct IsOdd {
  const std::int64_t* numbers;

  KEYSHARD_HD bool operator()(std::int64_t i) const { return numbers[i] % 2 != 0; }
};

TEST_F(Primitives, SelectNumbersTheChosenElementsInOrder) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    for (const std::int64_t n : kSizes) {
      const Buffer<std::int64_t, Cuda> in = to_device(stream, numbers(n));
      std::vector<std::uint32_t> expected;
      for (std::int64_t i = 0; i < n; ++i) {
        if (number(i) % 2 != 0) {
          expected.push_back(static_cast<std::uint32_t>(i));
        }
      }
      EXPECT_EQ(to_host(stream, select(stream, n, IsOdd{in.data()})), expected) << n;
    }
  });
}

TEST_F(Primitives, GroupByKeepsTheOrderInsideABucket) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    for (const std::int64_t n : kSizes) {
      const Buffer<std::int64_t, Cuda> in = to_device(stream, numbers(n));
      const Selection<Cuda> groups = group_by(stream, n, 17, Number{in.data()});
      std::vector<std::uint32_t> expected;
      std::vector<std::int64_t> starts{0};
      for (std::int64_t bucket = 0; bucket < 17; ++bucket) {
        for (std::int64_t i = 0; i < n; ++i) {
          if (number(i) == bucket) {
            expected.push_back(static_cast<std::uint32_t>(i));
          }
        }
        starts.push_back(static_cast<std::int64_t>(expected.size()));
      }
      EXPECT_EQ(to_host(stream, groups.indices), expected) << n;
      EXPECT_EQ(groups.starts, starts) << n;
    }
  });
}

TEST_F(Primitives, LargestIsThatOfAllTermsAndAtLeastZero) {
  Stream<Cuda> stream(0);
  for (const std::int64_t n : kSizes) {
    const std::vector<std::int64_t> all = numbers(n);
    const Buffer<std::int64_t, Cuda> in = to_device(stream, all);
    EXPECT_EQ(largest(stream, n, Number{in.data()}),
              n == 0 ? 0 : *std::max_element(all.begin(), all.end()));
  }
}

struct Pair {
  std::uint64_t key;
  std::uint32_t place;
};

TEST_F(Primitives, SortPairsKeepsTheOrderOfEqualKeys) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    for (const std::int64_t n : kSizes) {
      std::vector<Pair> pairs;
      for (std::int64_t i = 0; i < n; ++i) {
        pairs.push_back(
            {static_cast<std::uint64_t>(number(i)) << 60, static_cast<std::uint32_t>(i)});
      }
      Buffer<Pair, Cuda> sorted = to_device(stream, pairs);
      sort_pairs(stream, sorted.span());
      std::stable_sort(pairs.begin(), pairs.end(),
                       [](const Pair& a, const Pair& b) { return a.key < b.key; });
      const std::vector<Pair> found = to_host(stream, sorted);
      for (std::size_t i = 0; i < pairs.size(); ++i) {
        EXPECT_EQ(found[i].place, pairs[i].place);
      }
    }
  });
}

}  // namespace
}  // namespace keyshard
