#include "launch/bench/result.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>

#include <fmt/format.h>

#include "runtime/error.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

double middle_of(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// A number with 9 significant digits.
SettingValue rounded(double value) { return {std::stod(fmt::format("{:.9g}", value)), ""}; }

}  // namespace

Spread spread_of(std::vector<double> values) {
  require(!values.empty(), Kind::invalid_argument, "expected at least one value: found none");
  const double median = middle_of(values);
  return {static_cast<std::int64_t>(values.size()), values.front(), median, values.back()};
}

double longest_pause(const std::vector<double>& steps) {
  constexpr std::size_t kAbout = 9;
  double longest = 0;
  for (std::size_t step = 0; step < steps.size(); ++step) {
    const std::size_t last = steps.size() - std::min(kAbout, steps.size());
    const std::size_t first = std::min(step - std::min(step, kAbout / 2), last);
    const auto begin = steps.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = begin + static_cast<std::ptrdiff_t>(std::min(kAbout, steps.size()));
    longest = std::max(longest, steps[step] - spread_of({begin, end}).median);
  }
  return longest;
}

double BenchResult::median() const {
  std::vector<double> medians;
  for (const Spread& round : rounds) {
    medians.push_back(round.median);
  }
  return spread_of(medians).median;
}

double ratio_of(const BenchResult& ours, const BenchResult& limit) {
  std::vector<double> ratios;
  for (std::size_t r = 0; r < std::min(ours.rounds.size(), limit.rounds.size()); ++r) {
    ratios.push_back(ours.rounds[r].median / limit.rounds[r].median);
  }
  return spread_of(ratios).median;
}

std::string json_line(const BenchRun& run, const BenchResult& result, std::size_t round) {
  SettingValue::Table versions;
  for (const auto& [name, version] : run.versions) {
    versions.emplace_back(name, SettingValue{version, ""});
  }
  const Spread& spread = result.rounds[round];
  SettingValue::Table line{
      {"peer", {result.peer, ""}},
      {"measure", {result.measure, ""}},
      {"dim", {result.dim, ""}},
      {"threads", {result.threads > 0 ? result.threads : run.threads * run.ranks, ""}},
      {"huge_pages", {run.huge_pages, ""}},
      {"round", {static_cast<std::int64_t>(round) + 1, ""}},
      {"unit", {result.unit, ""}},
      {"n", {spread.n, ""}},
      {"min", rounded(spread.min)},
      {"median", rounded(spread.median)},
      {"max", rounded(spread.max)},
      {"others_busy", rounded(result.others_busy)},
      {"cpu", {run.cpu, ""}},
      {"versions", {versions, ""}}};
  if (!run.device.empty()) {
    line.emplace_back("device", SettingValue{run.device, ""});
  }
  if (run.ranks > 1) {
    line.emplace_back("ranks", SettingValue{run.ranks, ""});
  }
  for (const auto& [name, value] : result.extra) {
    line.emplace_back(name, rounded(value));
  }
  return json_text({line, ""});
}

BenchReport::BenchReport(BenchRun run, std::string json, bool silent)
    : run_(std::move(run)), json_(std::move(json)), silent_(silent) {}

void BenchReport::compare(const BenchResult& ours, const BenchResult& limit,
                          const std::string& note) {
  say(fmt::format("{:30} dim {:3}  {:14} {:10.3f}  {:12} {:10.3f} {:5}  ratio {:5.2f}  {}",
                  ours.measure, ours.dim, ours.peer, ours.median(), limit.peer, limit.median(),
                  ours.unit, ratio_of(ours, limit), note));
  append(ours);
  append(limit);
}

void BenchReport::show(const BenchResult& result, const std::string& note) {
  say(fmt::format("{:30} dim {:3}  {:14} {:10.3f}  {:23} {:5}  {:11}  {}", result.measure,
                  result.dim, result.peer, result.median(), "", result.unit, "", note));
  append(result);
}

void BenchReport::say(const std::string& text) {
  if (!silent_) {
    fmt::print("{}\n", text.substr(0, text.find_last_not_of(' ') + 1));
    std::fflush(stdout);
  }
}

void BenchReport::append(const BenchResult& result) {
  if (silent_ || json_.empty()) {
    return;
  }
  std::ofstream file(json_, std::ios::app);
  for (std::size_t round = 0; round < result.rounds.size(); ++round) {
    file << json_line(run_, result, round) << '\n';
  }
  file.close();
  require(file.good(), Kind::io, "{}: cannot be written", json_);
}

}  // namespace keyshard
