// optimizers.json: ten steps of an Embedding under each optimizer, rows and states after every
// step.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "tests/golden/doubles.hpp"
#include "tests/golden/layer_run.hpp"
#include "tests/golden/rule_tree.hpp"
#include "tests/golden/sections.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

/// The optimizer of the library with the options of a case. Some options of the file's adam make it
/// an optimizer of another name.
Optimizer rule_of(const std::string& rule, const GoldenValue& hyper) {
  SettingValue::Table keys;
  std::string type = rule;
  for (const auto& [key, value] : hyper.object()) {
    if (key == "amsgrad") {
      type = value.flag() ? "amsgrad" : type;
    } else if (key != "first_step") {
      type = key == "weight_decay" && rule == "adam" ? "adamw" : type;
      keys.emplace_back(key, setting_of(value));
    }
  }
  return optimizer_of(rule_tree(type, keys));
}

/// Advances a clock so that its next step has number `first`.
void start_at(OptimizerClock& clock, std::int64_t first) {
  while (clock.step() + 1 < first) {
    clock.tick(1);
  }
}

LayerOptions options_of(const GoldenValue& file, const GoldenValue& value) {
  LayerOptions options;
  options.name = "golden";
  options.embedding_size = file["table"]["dim"].integer();
  options.initializer = Constant{static_cast<float>(file["table"]["missing"].number())};
  options.optimizer = rule_of(value["rule"].text(), value["hyper"]);
  return options;
}

std::vector<float> column_of(Stream<Cpu>& stream, const Table<Cpu>& table,
                             const std::vector<Key>& keys, const std::string& column,
                             std::size_t size) {
  std::vector<float> out(size, std::numeric_limits<float>::quiet_NaN());
  copy_rows(stream, table, keys, column, out);
  return out;
}

/// Tolerance of a row after t steps.
Numbers row_bounds(const Numbers& expected, std::size_t t, double rate) {
  Numbers bounds;
  for (const double w : expected) {
    bounds.push_back(static_cast<double>(t) *
                     (2 * kUnit * std::max(1.0, std::abs(w)) + 64 * kUnit * rate));
  }
  return bounds;
}

/// Tolerance of a state after t steps.
Numbers state_bounds(const Numbers& expected, std::size_t t) {
  double largest = 0;
  for (const double s : expected) {
    largest = std::max(largest, std::abs(s));
  }
  return Numbers(expected.size(), 16 * static_cast<double>(t) * kUnit * largest);
}

void check_step(Stream<Cpu>& stream, const Table<Cpu>& table, const std::vector<Key>& keys,
                const GoldenValue& value, std::size_t t, GoldenCase& one) {
  const GoldenValue& expected = value["steps"].list().at(t - 1);
  const std::string at = fmt::format("step {} ", t);
  const Numbers& rows = expected["value64"].tensor().reals;
  one.near(at + "value", column_of(stream, table, keys, "values/values", rows.size()), rows,
           row_bounds(rows, t, value["hyper"]["lr"].number()));
  for (const auto& [name, state] : expected["state64"].object()) {
    const Numbers& numbers = state.tensor().reals;
    one.near(at + name, column_of(stream, table, keys, "state/values/" + name, numbers.size()),
             numbers, state_bounds(numbers, t));
  }
}

void run_case(const GoldenValue& file, const GoldenValue& value, GoldenCase& one) {
  const GoldenValue& hyper = value["hyper"];
  run_double_steps(file, value, rule_of(value["rule"].text(), hyper),
                   hyper.has("first_step") ? hyper["first_step"].integer() : 1, one);
  const LayerOptions options = options_of(file, value);
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Embedding<Cpu> layer(tables, options);
    Table<Cpu>& table = layer.table();
    assign(stream, table, table_of(file["table"]["keys"], file["table"]["rows"]));
    if (value["hyper"].has("first_step")) {
      start_at(table.clocks().at(0), value["hyper"]["first_step"].integer());
    }
    const GoldenValue::List& schedule = file["schedule"].list();
    for (std::size_t t = 1; t <= schedule.size(); ++t) {
      const GoldenValue& step = schedule[t - 1];
      const std::vector<Key> ids = keys_of(step["ids"].tensor());
      const LayerOutput<Cpu> output =
          layer.forward(stream, IdsView{ids, step["ids"].tensor().shape, {}});
      layer.backward(stream, output, step["gradients"].tensor().floats().data());
      tables.apply(stream, UpdateContext{});
      check_step(stream, table, keys_of(step["keys"].tensor()), value, t, one);
    }
    const Numbers& rows = value["final64"].tensor().reals;
    const std::vector<Key> keys = keys_of(file["table"]["all_keys"].tensor());
    one.near("final", column_of(stream, table, keys, "values/values", rows.size()), rows,
             row_bounds(rows, schedule.size(), value["hyper"]["lr"].number()));
  });
}

}  // namespace

void run_optimizers(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["cases"].list()) {
    const std::string& name = value["name"].text();
    report.run("optimizers: cases " + name, value["rule"].text(),
               [&](GoldenCase& one) { run_case(file, value, one); });
  }
}

}  // namespace keyshard::testing
