// What a measure found, and where it goes: a line for people and, if wanted, a JSON object per
// round and contender, in the form of the benchmarks of other libraries, so that they share one
// table.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace keyshard {

/// Single values of one round.
struct Spread {
  std::int64_t n = 0;
  double min = 0;
  double median = 0;  ///< the mean of the two in the middle where n is even
  double max = 0;
};

/// Expects at least one value.
Spread spread_of(std::vector<double> values);

/// The most by which any of consecutive steps exceeds the median of the nine steps around it (of
/// the nearest nine at the ends): the time of a step beyond that of its work.
double longest_pause(const std::vector<double>& steps);

/// What a contender reached, round by round.
struct BenchResult {
  std::string peer;     ///< "keyshard", "floor", ...
  std::string measure;  ///< "W1 lookup"
  std::string unit = "ms";
  std::int64_t dim = 0;
  std::vector<Spread> rounds;
  std::vector<std::pair<std::string, double>> extra;  ///< more numbers of the JSON line
  double others_busy = 0;
  std::int64_t threads = 0;  ///< that the contender used; 0: those of the run

  /// The median of the medians of all rounds.
  double median() const;
};

/// The median over rounds of ours / limit, round by round.
double ratio_of(const BenchResult& ours, const BenchResult& limit);

/// What all lines of a run share.
struct BenchRun {
  std::int64_t threads = 1;
  std::int64_t ranks = 1;
  std::vector<std::pair<std::string, std::string>> versions;
  std::string cpu;
  bool huge_pages = false;
  std::string device = {};  ///< the name of the GPU; empty on a CPU
};

/// The JSON object of one round: peer, measure, dim, threads (of all ranks), huge_pages, round,
/// unit, n, min, median, max, others_busy, cpu, versions, device on a GPU, ranks where there are
/// several, then `extra`.
std::string json_line(const BenchRun& run, const BenchResult& result, std::size_t round);

class BenchReport {
 public:
  /// Appends JSON lines to the file `json` unless it is empty; says nothing at all where `silent`.
  BenchReport(BenchRun run, std::string json, bool silent);

  /// One contender beside its limit. `note` is for people.
  void compare(const BenchResult& ours, const BenchResult& limit, const std::string& note = "");
  /// A figure without a limit.
  void show(const BenchResult& result, const std::string& note = "");
  /// A line for people.
  void say(const std::string& text);

 private:
  void append(const BenchResult& result);

  BenchRun run_;
  std::string json_;
  bool silent_;
};

}  // namespace keyshard
