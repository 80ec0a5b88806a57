#include "runtime/settings.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "runtime/joined.hpp"

namespace keyshard {
namespace {

const SettingValue& empty_table() {
  static const SettingValue empty = value_of(SettingValue::Table{});
  return empty;
}

/// What a value is, for "found ...".
std::string what_is(const SettingValue& value) {
  struct WhatIs {
    std::string operator()(std::monostate) const { return "nothing"; }

    std::string operator()(bool b) const { return fmt::format("the flag {}", b); }

    std::string operator()(std::int64_t i) const { return fmt::format("the integer {}", i); }

    std::string operator()(double d) const { return fmt::format("the number {}", d); }

    std::string operator()(const std::string& s) const {
      return fmt::format("the string \"{}\"", s);
    }

    std::string operator()(const SettingValue::Array&) const { return "a list"; }

    std::string operator()(const SettingValue::Table&) const { return "a table"; }
  };

  return std::visit(WhatIs{}, value.value);
}

/// Compares texts with runs of digits as numbers, so that line 9 comes before line 10.
bool natural_less(std::string_view a, std::string_view b) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!is_digit(a[i]) || !is_digit(b[j])) {
      if (a[i] != b[j]) {
        return a[i] < b[j];
      }
      ++i, ++j;
      continue;
    }
    const std::size_t first = i, second = j;
    while (i < a.size() && is_digit(a[i])) {
      ++i;
    }
    while (j < b.size() && is_digit(b[j])) {
      ++j;
    }
    const std::string_view left = a.substr(first, i - first), right = b.substr(second, j - second);
    if (left != right) {
      return left.size() != right.size() ? left.size() < right.size() : left < right;
    }
  }
  return a.size() - i < b.size() - j;
}

}  // namespace

double decimal_of(float value) {
  const std::string digits = fmt::format("{}", value);
  double result = value;
  std::from_chars(digits.data(), digits.data() + digits.size(), result);
  return result;
}

std::vector<std::string> SettingsReport::sorted() const {
  std::vector<std::string> result = messages;
  std::stable_sort(result.begin(), result.end(), natural_less);
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

Settings::Settings(const SettingValue& table, std::string path,
                   std::shared_ptr<SettingsReport> report)
    : table_(std::holds_alternative<SettingValue::Table>(table.value) ? &table : &empty_table()),
      path_(std::move(path)),
      report_(std::move(report)) {}

const SettingValue* Settings::find(std::string_view key) {
  allow(key);
  return member_of(*table_, key);
}

std::string Settings::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

template <class T>
T Settings::taken(std::string_view key, T value) {
  SettingValue recorded = value_of(value);
  if (const SettingValue* given = member_of(*table_, key)) {
    recorded.place = given->place;
  }
  report_->values.emplace(path_of(key), std::move(recorded));
  return value;
}

void Settings::describe(const KeyTable& keys) {
  if (report_->questions) {
    report_->questions->tables.emplace_back(path_, &keys);
  }
}

void Settings::ask(std::string_view key, KeyQuestion question) const {
  if (!report_->questions) {
    return;
  }
  KeyQuestion& asked = report_->questions->keys[path_of(key)];
  if (asked.type.empty()) {
    asked = std::move(question);
  }
}

void Settings::offer(std::string_view key, const std::vector<std::string>& legal) {
  if (report_->questions) {
    report_->questions->keys[path_of(key)].legal = legal;
  }
}

bool Settings::has(std::string_view key) const {
  ask(key, {});
  return member_of(*table_, key) != nullptr;
}

void Settings::refuse(std::string_view key, const std::string& message) {
  if (member_of(*table_, key) != nullptr) {
    problem(key, message);
  }
}

void Settings::repeat(std::string_view key, const Settings& other) {
  allow(key);
  const std::string from = other.path_of(key) + ".", to = path_of(key) + ".";
  ResolvedSettings repeated;
  for (const auto& [path, value] : report_->values) {
    if (path.starts_with(from)) {
      repeated.emplace(to + path.substr(from.size()), value_of(value.value));
    }
  }
  report_->values.merge(repeated);
}

void Settings::allow(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
    known_.emplace_back(key);
  }
}

void Settings::problem(std::string_view key, std::string message) {
  const SettingValue* value = find(key);
  const std::string& place = value != nullptr ? value->place : table_->place;
  const std::string name = path_of(key);
  report_->messages.push_back(place.empty() ? fmt::format("{}: {}", name, message)
                                            : fmt::format("{}: {}: {}", place, name, message));
}

void Settings::wrong_type(std::string_view key, const SettingValue& found, const char* expected) {
  problem(key, fmt::format("expected {}: found {}", expected, what_is(found)));
}

bool Settings::flag(std::string_view key, bool otherwise) {
  ask(key, {"true or false", value_of(otherwise)});
  const SettingValue* value = find(key);
  if (value == nullptr) {
    return taken(key, otherwise);
  }
  if (const std::optional<bool> flag = as_flag(*value)) {
    return taken(key, *flag);
  }
  wrong_type(key, *value, "true or false");
  return otherwise;
}

std::int64_t Settings::integer(std::string_view key, std::int64_t otherwise, std::int64_t least,
                               std::int64_t most) {
  ask(key, {"integer", value_of(otherwise), static_cast<double>(least), static_cast<double>(most)});
  const SettingValue* value = find(key);
  if (value == nullptr) {
    return taken(key, otherwise);
  }
  const std::optional<std::int64_t> integer = as_integer(*value);
  if (!integer) {
    wrong_type(key, *value, "an integer");
    return otherwise;
  }
  if (*integer < least || *integer > most) {
    problem(key, most == std::numeric_limits<std::int64_t>::max()
                     ? fmt::format("expected an integer of at least {}: found {}", least, *integer)
                     : fmt::format("expected an integer from {} to {}: found {}", least, most,
                                   *integer));
    return otherwise;
  }
  return taken(key, *integer);
}

double Settings::number(std::string_view key, double otherwise, double least, double most) {
  ask(key, {"number", value_of(otherwise), least, most});
  const SettingValue* value = find(key);
  if (value == nullptr) {
    return taken(key, otherwise);
  }
  const std::optional<double> number = as_number(*value);
  if (!number) {
    wrong_type(key, *value, "a number");
    return otherwise;
  }
  if (!(*number >= least && *number <= most)) {
    problem(key,
            most == std::numeric_limits<double>::infinity()
                ? fmt::format("expected a number of at least {}: found {}", least, *number)
                : fmt::format("expected a number from {} to {}: found {}", least, most, *number));
    return otherwise;
  }
  if (!std::isfinite(*number)) {
    problem(key, fmt::format("expected a finite number: found {}", *number));
    return otherwise;
  }
  return taken(key, *number);
}

float Settings::single(std::string_view key, float otherwise, double least, double most) {
  const auto value = static_cast<float>(number(key, decimal_of(otherwise), least, most));
  if (!std::isfinite(value)) {
    problem(key, "expected a number that is finite as a 32-bit float: found a larger one");
    return otherwise;
  }
  return value;
}

double Settings::float_sized(std::string_view key, double otherwise, double least, double most) {
  const double value = number(key, otherwise, least, most);
  if (!std::isfinite(static_cast<float>(value))) {
    problem(key, "expected a number that is finite as a 32-bit float: found a larger one");
    return otherwise;
  }
  return value;
}

std::string Settings::text(std::string_view key, std::string otherwise) {
  ask(key, {"string", value_of(otherwise)});
  const SettingValue* value = find(key);
  if (value == nullptr) {
    return taken(key, otherwise);
  }
  if (std::optional<std::string> text = as_text(*value)) {
    return taken(key, *text);
  }
  wrong_type(key, *value, "a string");
  return otherwise;
}

std::string Settings::choice(std::string_view key, std::string otherwise,
                             const std::vector<std::string>& legal) {
  const std::string chosen = text(key, otherwise);
  offer(key, legal);
  if (std::find(legal.begin(), legal.end(), chosen) != legal.end()) {
    return chosen;
  }
  problem(key, fmt::format("expected one of {}: found \"{}\"{}", joined(legal, ", "), chosen,
                           did_you_mean(chosen, legal)));
  return otherwise;
}

template <class T, class Convert>
std::vector<T> Settings::list(std::string_view key, std::vector<T> otherwise, const char* expected,
                              const Convert& convert) {
  ask(key, {std::string(std::string_view(expected).substr(2)), value_of(otherwise)});
  const SettingValue* value = find(key);
  if (value == nullptr) {
    return taken(key, otherwise);
  }
  const auto* array = std::get_if<SettingValue::Array>(&value->value);
  if (array == nullptr) {
    wrong_type(key, *value, expected);
    return otherwise;
  }
  std::vector<T> result;
  for (const SettingValue& entry : *array) {
    const std::optional<T> converted = convert(entry);
    if (!converted) {
      wrong_type(key, entry, expected);
      return otherwise;
    }
    result.push_back(*converted);
  }
  return taken(key, result);
}

std::vector<std::string> Settings::texts(std::string_view key, std::vector<std::string> otherwise) {
  return list<std::string>(key, std::move(otherwise), "a list of strings", as_text);
}

std::vector<std::int64_t> Settings::integers(std::string_view key,
                                             std::vector<std::int64_t> otherwise) {
  return list<std::int64_t>(key, std::move(otherwise), "a list of integers", as_integer);
}

std::vector<double> Settings::numbers(std::string_view key, std::vector<double> otherwise) {
  return list<double>(key, std::move(otherwise), "a list of numbers", as_number);
}

Settings Settings::table(std::string_view key, const std::string& otherwise) {
  ask(key, {"table", otherwise.empty() ? SettingValue() : value_of(otherwise)});
  const SettingValue preset = value_of(otherwise);  // no place: it is a default
  const SettingValue* value = find(key);
  if (value == nullptr && !otherwise.empty()) {
    value = &preset;
  }
  const std::string path = path_of(key);
  if (value != nullptr && std::holds_alternative<std::string>(value->value)) {
    auto typed = std::make_shared<SettingValue>(
        SettingValue{SettingValue::Table{{"type", *value}}, value->place});
    Settings result(*typed, path, report_);
    result.owned_ = typed;
    return result;
  }
  if (value != nullptr && !std::holds_alternative<SettingValue::Table>(value->value)) {
    wrong_type(key, *value, "a table");
    value = nullptr;
  }
  return Settings(value == nullptr ? empty_table() : *value, path, report_);
}

std::vector<Settings> Settings::tables(std::string_view key) {
  ask(key, {"list of tables", {}});
  std::vector<Settings> result;
  const SettingValue* value = find(key);
  if (value == nullptr) {
    return result;
  }
  const auto* array = std::get_if<SettingValue::Array>(&value->value);
  if (array == nullptr) {
    wrong_type(key, *value, "a list of tables");
    return result;
  }
  for (std::size_t i = 0; i < array->size(); ++i) {
    if (!std::holds_alternative<SettingValue::Table>((*array)[i].value)) {
      wrong_type(key, (*array)[i], "a list of tables");
      continue;
    }
    result.emplace_back((*array)[i], fmt::format("{}[{}]", path_of(key), i), report_);
  }
  return result;
}

std::vector<std::pair<std::string, Settings>> Settings::named_tables(std::string_view key) {
  ask(key, {"tables by name", {}});
  std::vector<std::pair<std::string, Settings>> result;
  const SettingValue* value = find(key);
  if (value == nullptr) {
    return result;
  }
  Settings outer = table(key);
  if (const auto* tables = std::get_if<SettingValue::Table>(&value->value)) {
    for (const auto& [name, entry] : *tables) {
      result.emplace_back(name, outer.table(name));
    }
  }
  return result;
}

void Settings::finish() {
  for (const auto& [name, value] : std::get<SettingValue::Table>(table_->value)) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) {
      continue;
    }
    report_->messages.push_back(fmt::format("{}: unknown key \"{}\"{}{}", value.place, name,
                                            path_.empty() ? "" : " in [" + path_ + "]",
                                            did_you_mean(name, known_)));
  }
}

}  // namespace keyshard
