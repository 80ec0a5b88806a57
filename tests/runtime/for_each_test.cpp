#include "runtime/for_each.hpp"

#include <atomic>
#include <vector>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

/// Counts the calls for each index: fetches by 1, work by 10.
struct Marks {
  int* marks;
  std::int64_t width = 1;

  void fetch(std::int64_t i) const { marks[i] += 1; }

  std::int64_t fetched() const { return width; }

  template <class Team>
  void operator()(std::int64_t i, const Team&) const {
    marks[i] *= 10;
  }
};

TEST(ForEachRow, FetchesEveryIndexOnceBeforeItIsWorkedOn) {
  for (const int threads : {1, 2}) {
    Stream<Cpu> stream(threads, 0);
    for (const std::int64_t width : {1, 16, 100'000}) {
      std::vector<int> marks(300);
      for_each_row(stream, 300, Marks{marks.data(), width});
      EXPECT_EQ(marks, std::vector<int>(300, 10)) << threads << " threads, width " << width;
    }
  }
}

/// Hands the square of an index from the fetch to the work.
struct Squares {
  std::int64_t* out;

  std::int64_t fetch(std::int64_t i) const { return i * i; }

  template <class Team>
  void operator()(std::int64_t i, const Team&, std::int64_t square) const {
    out[i] = square;
  }
};

TEST(ForEachRow, HandsOnWhatWasFetched) {
  Stream<Cpu> stream(2, 0);
  std::vector<std::int64_t> squares(200);
  for_each_row(stream, 200, Squares{squares.data()});
  for (std::int64_t i = 0; i < 200; ++i) {
    EXPECT_EQ(squares[static_cast<std::size_t>(i)], i * i);
  }
}

/// Counts the calls for each index: ranges that are fetched by 1, work by 10, and work in front of
/// its fetch by 100.
struct RangeMarks {
  int* marks;
  std::int64_t width;

  void fetch_range(std::int64_t begin, std::int64_t end) const {
    for (; begin < end; ++begin) {
      marks[begin] += 1;
    }
  }

  std::int64_t fetched() const { return width; }

  template <class Team>
  void operator()(std::int64_t i, const Team&) const {
    marks[i] += marks[i] == 1 ? 10 : 100;
  }
};

TEST(ForEachRow, FetchesEachIndexOnceInARangeAheadOfItsWork) {
  for (const int threads : {1, 3}) {
    Stream<Cpu> stream(threads, 0);
    for (const std::int64_t width : {1, 100, 5000}) {
      std::vector<int> marks(300);
      for_each_row(stream, 300, RangeMarks{marks.data(), width});
      EXPECT_EQ(marks, std::vector<int>(300, 11)) << threads << " threads, width " << width;
    }
  }
}

/// Writes the number of its run.
struct RunNumbers {
  struct Row {
    std::int64_t run;
    std::int64_t* out;

    template <class Team>
    void operator()(std::int64_t i, const Team&) const {
      out[i] = run;
    }
  };

  std::int64_t* out;

  template <class Body>
  void with_run(std::int64_t run, const Body& body) const {
    body(Row{run, out});
  }
};

TEST(ForEachRun, TellsRunsApartAlsoEmptyOnesInOneLaunch) {
  const std::vector<std::int64_t> starts{0, 0, 2, 5, 5, 6};
  for (const int threads : {1, 2, 3, 8}) {
    Stream<Cpu> stream(threads, 0);
    std::vector<std::int64_t> runs(6, -1);
    const std::int64_t before = stream.launches();
    for_each_run(stream, starts, RunNumbers{runs.data()});
    EXPECT_EQ(runs, (std::vector<std::int64_t>{1, 1, 2, 2, 2, 4}));
    EXPECT_EQ(stream.launches() - before, 1);
  }
}

TEST(ForEach, ALaunchOfLittleWorkRunsOnTheCallingThread) {
  Stream<Cpu> stream(4);
  const auto caller = std::this_thread::get_id();

  struct Where {
    std::thread::id caller;
    std::atomic<int>* elsewhere;

    void operator()(std::int64_t) const {
      *elsewhere += std::this_thread::get_id() == caller ? 0 : 1;
    }
  };

  std::atomic<int> elsewhere{0};
  for (int round = 0; round < 100; ++round) {
    for_each(stream, 100, Where{caller, &elsewhere});
  }
  EXPECT_EQ(elsewhere, 0);
  EXPECT_EQ(stream.launches(), 100);
}

}  // namespace
}  // namespace keyshard
