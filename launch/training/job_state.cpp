#include "launch/training/job_state.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::size_t kScheduleParts = 6;

SettingValue number(std::int64_t value) { return {value, ""}; }

/// JSON has no word for a number that is not finite; a text holds it.
SettingValue real(double value) {
  return std::isfinite(value) ? SettingValue{value, ""}
                              : SettingValue{std::string(std::isnan(value) ? "nan"
                                                         : value > 0       ? "inf"
                                                                           : "-inf"),
                                             ""};
}

/// A manifest holds at least two numbers of a clock. Those that an optimizer does not have are 1
/// before its first step and 0 after it: the powers of a decay rate of 0.
constexpr std::size_t kLeastClockNumbers = 2;

/// The clock of an optimizer: its steps and what it carries of them.
SettingValue clock_value(const OptimizerClock& clock) {
  SettingValue::Array parts{number(clock.step())};
  for (const double carried : clock.numbers()) {
    parts.push_back(real(carried));
  }
  while (parts.size() < 1 + kLeastClockNumbers) {
    parts.push_back(real(clock.step() == 0 ? 1.0 : 0.0));
  }
  return {std::move(parts), ""};
}

SettingValue schedule_value(const ScheduleState& s) {
  return {SettingValue::Array{number(s.any), real(s.best), number(s.best_step), number(s.worse),
                              number(s.since_decay), real(s.scale)},
          ""};
}

}  // namespace

SettingValue state_tree(const JobConfig& config, Trainer& trainer,
                        const TrainingPosition& position) {
  SettingValue::Array consumed, clocks;
  for (const std::int64_t records : position.reader.consumed) {
    consumed.push_back(number(records));
  }
  for (const auto& table : trainer.tables().tables()) {
    for (const OptimizerClock& clock : table->clocks()) {
      clocks.push_back(clock_value(clock));
    }
  }
  return {SettingValue::Table{{"slices", number(config.job.slices)},
                              {"shards", number(kShards)},
                              {"seed", number(static_cast<std::int64_t>(config.job.seed))},
                              {"order", {std::string(name_of(position.train_order)), ""}},
                              {"valid_order", {std::string(name_of(position.valid_order)), ""}},
                              {"epoch", number(position.reader.epoch)},
                              {"epoch_step", number(position.reader.step)},
                              {"consumed", {consumed, ""}},
                              {"data", {position.data.hex(), ""}},
                              {"valid_data", {position.valid_data.hex(), ""}},
                              {"numerics", {position.numerics, ""}},
                              {"bad_lines", number(position.bad_lines.total)},
                              {"bad_lines_of_epoch", number(position.bad_lines.epoch)},
                              {"table_clocks", {clocks, ""}},
                              {"dense_clock", clock_value(trainer.dense().optimizer().clock())},
                              {"schedule", schedule_value(position.schedule)}},
          ""};
}

StateReader::StateReader(const SettingValue& tree, std::string path)
    : tree_(tree), path_(std::move(path)) {}

void StateReader::refuse(const char* key) const {
  fail(Kind::corrupt_data, "{}: expected \"{}\" of a training: found none that fits", path_, key);
}

const SettingValue& StateReader::at(const char* key) const {
  const auto* table = std::get_if<SettingValue::Table>(&tree_.value);
  if (table != nullptr) {
    for (const auto& [name, value] : *table) {
      if (name == key) {
        return value;
      }
    }
  }
  refuse(key);
}

std::int64_t StateReader::integer(const char* key) const { return integer(at(key), key); }

std::string StateReader::text(const char* key) const {
  const auto* text = std::get_if<std::string>(&at(key).value);
  return text != nullptr ? *text : (refuse(key), std::string());
}

const SettingValue::Array& StateReader::array(const SettingValue& value, const char* key,
                                              std::size_t size) const {
  const auto* values = std::get_if<SettingValue::Array>(&value.value);
  if (values == nullptr || values->size() != size) {
    refuse(key);
  }
  return *values;
}

std::int64_t StateReader::integer(const SettingValue& value, const char* key) const {
  const auto* integer = std::get_if<std::int64_t>(&value.value);
  return integer != nullptr ? *integer : (refuse(key), 0);
}

double StateReader::real(const SettingValue& value, const char* key) const {
  // JSON writes a whole double as it likes, and one that is not finite is a text.
  if (const auto* text = std::get_if<std::string>(&value.value)) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    return *text == "inf"    ? kInfinity
           : *text == "-inf" ? -kInfinity
           : *text == "nan"  ? std::numeric_limits<double>::quiet_NaN()
                             : (refuse(key), 0.0);
  }
  const auto* real = std::get_if<double>(&value.value);
  return real != nullptr ? *real : static_cast<double>(integer(value, key));
}

Digest128 StateReader::digest(const char* key) const {
  const std::string hex = text(key);
  if (hex.size() != 32 || hex.find_first_not_of("0123456789abcdef") != std::string::npos) {
    refuse(key);
  }
  return {std::stoull(hex.substr(16), nullptr, 16), std::stoull(hex.substr(0, 16), nullptr, 16)};
}

ReadOrder StateReader::order(const char* key) const {
  const std::string name = text(key);
  for (const ReadOrder order : {ReadOrder::blocks, ReadOrder::files, ReadOrder::stream}) {
    if (name == name_of(order)) {
      return order;
    }
  }
  refuse(key);
}

void StateReader::clock(const SettingValue& value, OptimizerClock& clock) const {
  const std::size_t size = clock.numbers().size();
  const auto& parts = array(value, "clock", 1 + std::max(size, kLeastClockNumbers));
  std::vector<double> numbers;
  for (std::size_t k = 0; k < size; ++k) {
    numbers.push_back(real(parts[1 + k], "clock"));
  }
  clock.restore(integer(parts[0], "clock"), std::move(numbers));
}

TrainingPosition StateReader::position() const {
  TrainingPosition position;
  position.reader.epoch = integer("epoch");
  position.reader.step = integer("epoch_step");
  const auto& consumed =
      array(at("consumed"), "consumed", static_cast<std::size_t>(integer("slices")));
  for (const SettingValue& records : consumed) {
    position.reader.consumed.push_back(integer(records, "consumed"));
  }
  const auto& s = array(at("schedule"), "schedule", kScheduleParts);
  position.schedule = {integer(s[0], "schedule") != 0, real(s[1], "schedule"),
                       integer(s[2], "schedule"),      integer(s[3], "schedule"),
                       integer(s[4], "schedule"),      real(s[5], "schedule")};
  position.train_order = order("order");
  position.valid_order = order("valid_order");
  position.data = digest("data");
  position.valid_data = digest("valid_data");
  position.bad_lines = {integer("bad_lines"), integer("bad_lines_of_epoch")};
  position.numerics = text("numerics");
  return position;
}

void StateReader::restore_clocks(Trainer& trainer) const {
  std::size_t clocks = 0;
  for (const auto& table : trainer.tables().tables()) {
    clocks += table->clocks().size();
  }
  const auto& saved = array(at("table_clocks"), "table_clocks", clocks);
  std::size_t next = 0;
  for (const auto& table : trainer.tables().tables()) {
    for (OptimizerClock& own : table->clocks()) {
      clock(saved[next++], own);
    }
  }
  clock(at("dense_clock"), trainer.dense().optimizer().clock());
}

}  // namespace keyshard
