// A tree of values: a configuration, a manifest, the state of a training, a line of metrics.
// `value_of` builds a tree, `ValueReader` reads a tree that a program built, and `Settings`
// (settings.hpp) reads a tree that a person wrote.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/digest.hpp"

namespace keyshard {

/// A value with the values inside it, and where it stands.
struct SettingValue {
  using Array = std::vector<SettingValue>;
  using Table = std::vector<std::pair<std::string, SettingValue>>;  // in the order of the file

  using Variant =
      std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Table>;

  // Defined where the type is complete: a tree holds itself.
  SettingValue();
  SettingValue(Variant value, std::string place);
  SettingValue(const SettingValue&);
  SettingValue(SettingValue&&) noexcept;
  SettingValue& operator=(const SettingValue&);
  SettingValue& operator=(SettingValue&&) noexcept;
  ~SettingValue();

  Variant value;
  std::string place;  ///< "file:line", for messages; empty where the value stands in no file
};

/// Values by full path, as "job.seed" or "data.columns[0].name".
using ResolvedSettings = std::map<std::string, SettingValue>;

/// Makes a value that stands in no file.
SettingValue value_of(SettingValue::Variant value);

/// Makes a list, one value per entry.
SettingValue value_of(const std::vector<std::int64_t>& values);
SettingValue value_of(const std::vector<double>& values);
SettingValue value_of(const std::vector<std::string>& values);

/// Makes a list of convert(entry), a SettingValue, for each entry.
template <class Entries, class Convert>
SettingValue list_of(const Entries& entries, const Convert& convert) {
  SettingValue::Array list;
  for (const auto& entry : entries) {
    list.push_back(convert(entry));
  }
  return value_of(std::move(list));
}

/// Makes a number that JSON can keep: infinities and NaN, for which JSON has no word, become texts.
/// ValueReader::real reads numbers and these texts.
SettingValue real_value(double value);

/// Finds a member of a table. Null where there is none of that name, or `value` is no table.
const SettingValue* member_of(const SettingValue& value, std::string_view key);

// The content of a value, or nothing where the value is of another type. as_number takes integers
// too.

std::optional<bool> as_flag(const SettingValue& value);
std::optional<std::int64_t> as_integer(const SettingValue& value);
std::optional<double> as_number(const SettingValue& value);
std::optional<std::string> as_text(const SettingValue& value);

/// A value of a tree with the path to that value. Borrows the tree. Getters throw
/// Error{corrupt_data} with the path where something is missing or of another type.
class ValueReader {
 public:
  ValueReader(const SettingValue& value, std::string path)
      : value_(&value), path_(std::move(path)) {}

  const SettingValue& value() const noexcept { return *value_; }

  const std::string& path() const noexcept { return path_; }

  /// The member of a table.
  ValueReader at(std::string_view key) const;
  /// The entries of a list.
  std::vector<ValueReader> entries() const;
  /// The entries of a list that must have `count` of them.
  std::vector<ValueReader> entries(std::int64_t count) const;

  std::string text() const;
  std::int64_t integer() const;
  /// An integer from `least` to `most`.
  std::int64_t integer(std::int64_t least, std::int64_t most) const;
  /// The entries of a list of integers from `least` to `most`.
  std::vector<std::int64_t> integers(std::int64_t least, std::int64_t most) const;
  /// What real_value made.
  double real() const;
  /// A digest as Digest128::hex writes it.
  Digest128 digest() const;
  /// The digests that a text holds one after another.
  std::vector<Digest128> digests() const;

 private:
  const SettingValue::Array& list() const;
  Digest128 digest_in(std::string_view digits) const;

  const SettingValue* value_;
  std::string path_;
};

}  // namespace keyshard
