// What the measures of any device must do, for tests on a CPU and on the simulated device: small
// sizes, the results that a run has, and the calls of a limit and of a table by their definitions.
#pragma once

#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "launch/bench/device_measures.hpp"
#include "launch/bench/limits.hpp"
#include "launch/bench/table_calls.hpp"
#include "launch/bench/workload.hpp"
#include "runtime/copy.hpp"
#include "runtime/json.hpp"

namespace keyshard::testing {

inline BenchCommand tiny_bench(const std::string& json) {
  BenchCommand command;
  command.quick = true;
  command.json = json;
  command.rounds = 2;
  command.steps = 2;
  command.warmup = 1;
  command.sizes = {.dims = {8, 32, 64, 128},
                   .call = 32,
                   .capacity = 256,
                   .large_rows = 200,
                   .tables = 3,
                   .rows_of_table = 70,
                   .samples = 16,
                   .small_samples = 4,
                   .step_dim = 8,
                   .batches = 2};
  return command;
}

inline std::vector<std::string> device_measure_names() {
  std::vector<std::string> names;
  for (const DeviceMeasure<Cpu>& measure : device_measures<Cpu>()) {
    names.push_back(measure.name);
  }
  return names;
}

/// "MEASURE dim D" of all results that tiny_bench has.
inline std::set<std::string> tiny_results() {
  std::set<std::string> names{
      "P lookup dim 8",   "P dedup dim 8",      "P train sgd dim 8",           "P train adam dim 8",
      "large find dim 8", "large lookup dim 8", "P train sgd, 4 samples dim 8"};
  for (const char* call : {"find", "insert new, up to", "find_or_insert", "update sgd", "lookup"}) {
    for (const char* load : {"0.50", "0.75", "0.95"}) {
      for (const int dim : {8, 32, 64, 128}) {
        names.insert(fmt::format("{}, load {} dim {}", call, load, dim));
      }
    }
  }
  return names;
}

/// Expects keyshard and a limit in each result of a file, with times that are above 0.
inline void expect_results(const std::string& json, const std::set<std::string>& names) {
  std::map<std::string, std::set<std::string>> peers;
  std::ifstream file(json);
  for (std::string line; std::getline(file, line);) {
    std::map<std::string, SettingValue> fields;
    const SettingValue tree = parse_json(line, json);
    for (const auto& [name, value] : std::get<SettingValue::Table>(tree.value)) {
      fields[name] = value;
    }
    peers[fmt::format("{} dim {}", std::get<std::string>(fields.at("measure").value),
                      std::get<std::int64_t>(fields.at("dim").value))]
        .insert(std::get<std::string>(fields.at("peer").value));
    for (const char* number : {"min", "median", "max", "mkeys_per_s"}) {
      const double value = std::get<double>(fields.at(number).value);
      EXPECT_TRUE(std::isfinite(value) && value > 0) << number << ": " << line;
    }
  }
  std::set<std::string> found;
  for (const auto& [name, of_measure] : peers) {
    found.insert(name);
    EXPECT_TRUE(of_measure.contains("keyshard")) << name;
    EXPECT_EQ(of_measure.size(), 2u) << name;
  }
  EXPECT_EQ(found, names);
}

/// The calls of a limit: ones are added to the rows of call 0.
template <Backend B>
void expect_row_limit(Stream<B>& stream, std::int64_t dim) {
  constexpr std::int64_t kRows = 50, kCall = 20;
  RowLimit<B> limit(stream, kRows, dim, kCall);
  const std::vector<std::uint32_t> which = to_host(stream, limit.which());
  ASSERT_EQ(std::ssize(which), kPreparedCalls * kCall);
  const std::set<std::uint32_t> first(which.begin(), which.begin() + kCall);
  EXPECT_EQ(std::ssize(first), kCall);  // distinct
  EXPECT_LT(*first.rbegin(), static_cast<std::uint32_t>(kRows));
  limit.add(0);
  limit.gather(1);
  const std::vector<float> rows = to_host(stream, limit.out());
  limit.sum(1);
  const std::vector<float> sums = to_host(stream, limit.out());
  for (std::int64_t i = 0; i < kCall; ++i) {
    const bool added = first.contains(which[static_cast<std::size_t>(kCall + i)]);
    for (std::int64_t d = 0; d < dim; ++d) {
      ASSERT_EQ(rows[static_cast<std::size_t>(i * dim + d)], added ? 1.0f : 0.0f) << i;
    }
    ASSERT_EQ(sums[static_cast<std::size_t>(i)], added ? static_cast<float>(dim) : 0.0f) << i;
  }
}

/// Values of the keys of a call of a table, whose rows start with 0.01 and which `steps` steps of
/// SGD with rate 0.01 have changed, by the definition.
template <Backend B>
void expect_values(Stream<B>& stream, TableCalls<B>& calls, const CallSizes& sizes, int steps) {
  calls.lookup(0);
  const std::vector<float> values = to_host(stream, calls.values());
  std::vector<float> gradients(values.size());
  fill_gradients(gradients, 0);
  ASSERT_EQ(std::ssize(values), sizes.call * sizes.dim);
  for (std::size_t i = 0; i < values.size(); ++i) {
    float expected = 0.01f;
    for (int step = 0; step < steps; ++step) {
      expected -= 0.01f * gradients[i];
    }
    ASSERT_EQ(values[i], expected) << i;
  }
}

template <Backend B>
void expect_table_calls(Stream<B>& stream) {
  const CallSizes sizes{.dim = 8, .capacity = 100, .call = 30};
  TableCalls<B> calls(stream, sizes);
  std::vector<std::int64_t> brought;
  while (const std::int64_t keys = calls.bring_new(80)) {
    brought.push_back(keys);
    calls.insert_new();
  }
  EXPECT_EQ(brought, (std::vector<std::int64_t>{30, 30, 20}));
  EXPECT_EQ(calls.rows(), 80);
  calls.draw();
  for (std::int64_t call = 0; call < kPreparedCalls; ++call) {
    const std::vector<Key> keys = to_host(stream, calls.keys(call));
    EXPECT_EQ(std::set<Key>(keys.begin(), keys.end()).size(), 30u);
    calls.find(call);
    const std::vector<RowId> found = to_host(stream, calls.found());
    calls.find_or_insert(call);
    EXPECT_EQ(to_host(stream, calls.found()), found);
    const std::set<RowId> rows(found.begin(), found.end());
    EXPECT_EQ(rows.size(), 30u);
    EXPECT_LT(*rows.rbegin(), 80u);
  }
  EXPECT_EQ(calls.rows(), 80);  // no key was new
  expect_values(stream, calls, sizes, 0);
  calls.update(0);
  calls.update(kPreparedCalls);  // the same call again
  expect_values(stream, calls, sizes, 2);
}

}  // namespace keyshard::testing
