// A table of configuration values, each of which knows where it stands ("train.toml:12" or
// "--set"). The options of every folder are read from settings; only `launch` knows the syntax of
// files: it reads TOML into a tree of values. Problems are collected, so that a user sees all of
// them at once: an unknown key with the nearest legal one, a wrong type, a value out of range. The
// values that were taken are collected, too, defaults included.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/nearest_word.hpp"
#include "runtime/setting_keys.hpp"
#include "runtime/setting_value.hpp"

namespace keyshard {

/// What the reading of a configuration has found.
struct SettingsReport {
  /// Problems, "file:line: message" each, in order of discovery.
  std::vector<std::string> messages;
  /// The value of every key that was asked for: the default where the key was not given. A default
  /// has no place.
  ResolvedSettings values;
  /// Where it is not null: what was asked, for a reference of all keys.
  std::shared_ptr<KeyQuestions> questions;

  /// Every message once, by file and line.
  std::vector<std::string> sorted() const;
};

/// The shortest decimal that is read back as this float.
double decimal_of(float value);

/// A table of the tree, borrowed, and its path; a value that is no table counts as an empty one.
/// Every getter marks its key as known (`has` does not); `finish` reports the keys that are not
/// known. A getter that meets a problem records it and returns the default, so that reading can go
/// on.
class Settings {
 public:
  Settings(const SettingValue& table, std::string path, std::shared_ptr<SettingsReport> report);

  /// Tells what the keys of this table mean. `keys` must live as long as the report.
  void describe(const KeyTable& keys);

  bool has(std::string_view key) const;
  bool flag(std::string_view key, bool otherwise);
  std::int64_t integer(std::string_view key, std::int64_t otherwise,
                       std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                       std::int64_t most = std::numeric_limits<std::int64_t>::max());
  /// A finite number.
  double number(std::string_view key, double otherwise,
                double least = -std::numeric_limits<double>::infinity(),
                double most = std::numeric_limits<double>::infinity());
  /// A number that is finite as a float, too. A default is recorded as the shortest decimal that
  /// reads back as that float.
  float single(std::string_view key, float otherwise,
               double least = -std::numeric_limits<double>::infinity(),
               double most = std::numeric_limits<double>::infinity());
  /// The same, but a double that was not rounded.
  double float_sized(std::string_view key, double otherwise,
                     double least = -std::numeric_limits<double>::infinity(),
                     double most = std::numeric_limits<double>::infinity());
  std::string text(std::string_view key, std::string otherwise);
  std::string choice(std::string_view key, std::string otherwise,
                     const std::vector<std::string>& legal);
  /// Notes the words that the text under `key` may be, which the caller checks.
  void offer(std::string_view key, const std::vector<std::string>& legal);

  /// The value of an enumeration; `names` has the names of its values, in order.
  template <class E>
  E option(std::string_view key, E otherwise, const std::vector<std::string>& names) {
    const std::string chosen = choice(key, names[static_cast<std::size_t>(otherwise)], names);
    const auto found = std::find(names.begin(), names.end(), chosen);
    return found == names.end() ? otherwise : static_cast<E>(found - names.begin());
  }

  std::vector<std::string> texts(std::string_view key, std::vector<std::string> otherwise = {});
  std::vector<std::int64_t> integers(std::string_view key,
                                     std::vector<std::int64_t> otherwise = {});
  std::vector<double> numbers(std::string_view key, std::vector<double> otherwise = {});

  /// The table under `key`. A string under `key` is read as `{type = STRING}`. Where the key is
  /// absent, the string `otherwise` is read in its place; an empty `otherwise` gives an empty
  /// table.
  Settings table(std::string_view key, const std::string& otherwise = "");
  /// The tables of an array of tables, [[key]].
  std::vector<Settings> tables(std::string_view key);
  /// The tables inside the table `key`, by name: [key.NAME].
  std::vector<std::pair<std::string, Settings>> named_tables(std::string_view key);

  /// Records the values that were taken from the table `key` of `other` as values of the table
  /// `key` of this one, which has none.
  void repeat(std::string_view key, const Settings& other);
  /// Marks a key as legal without reading it.
  void allow(std::string_view key);
  /// Records a problem of the value under `key` (of the table itself if the key is absent).
  void problem(std::string_view key, std::string message);
  /// Records a problem where `key` is given, which is no key of this table.
  void refuse(std::string_view key, const std::string& message);
  /// Records every key that no getter asked for, with the nearest legal one.
  void finish();

  const std::string& path() const noexcept { return path_; }

 private:
  const SettingValue* find(std::string_view key);
  std::string path_of(std::string_view key) const;

  /// Notes what is asked of a key.
  void ask(std::string_view key, KeyQuestion question) const;

  /// Reports the value of a key, and returns it.
  template <class T>
  T taken(std::string_view key, T value);

  void wrong_type(std::string_view key, const SettingValue& found, const char* expected);

  template <class T, class Convert>
  std::vector<T> list(std::string_view key, std::vector<T> otherwise, const char* expected,
                      const Convert& convert);

  const SettingValue* table_;  // borrowed, or owned_
  std::shared_ptr<const SettingValue> owned_;
  std::string path_;
  std::vector<std::string> known_;
  std::shared_ptr<SettingsReport> report_;
};

}  // namespace keyshard
