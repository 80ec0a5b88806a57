#include "runtime/setting_value.hpp"

#include <cmath>
#include <limits>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
std::optional<T> content_of(const SettingValue& value) {
  const T* content = std::get_if<T>(&value.value);
  return content == nullptr ? std::nullopt : std::optional(*content);
}

template <class T>
T expect(std::optional<T> content, const std::string& path, const char* expected) {
  require(content.has_value(), Kind::corrupt_data, "{}: expected {}: found something else", path,
          expected);
  return std::move(*content);
}

template <class T>
SettingValue list_of_values(const std::vector<T>& values) {
  return list_of(values, [](const T& value) { return value_of(value); });
}

}  // namespace

SettingValue::SettingValue() = default;

SettingValue::SettingValue(Variant value_, std::string place_)
    : value(std::move(value_)), place(std::move(place_)) {}

SettingValue::SettingValue(const SettingValue&) = default;
SettingValue::SettingValue(SettingValue&&) noexcept = default;
SettingValue& SettingValue::operator=(const SettingValue&) = default;
SettingValue& SettingValue::operator=(SettingValue&&) noexcept = default;
SettingValue::~SettingValue() = default;

SettingValue value_of(SettingValue::Variant value) { return {std::move(value), ""}; }

SettingValue value_of(const std::vector<std::int64_t>& values) { return list_of_values(values); }

SettingValue value_of(const std::vector<double>& values) { return list_of_values(values); }

SettingValue value_of(const std::vector<std::string>& values) { return list_of_values(values); }

SettingValue real_value(double value) {
  return std::isfinite(value) ? value_of(value)
         : std::isnan(value)  ? value_of("nan")
                              : value_of(value > 0 ? "inf" : "-inf");
}

const SettingValue* member_of(const SettingValue& value, std::string_view key) {
  if (const auto* table = std::get_if<SettingValue::Table>(&value.value)) {
    for (const auto& [name, member] : *table) {
      if (name == key) {
        return &member;
      }
    }
  }
  return nullptr;
}

std::optional<bool> as_flag(const SettingValue& value) { return content_of<bool>(value); }

std::optional<std::int64_t> as_integer(const SettingValue& value) {
  return content_of<std::int64_t>(value);
}

std::optional<double> as_number(const SettingValue& value) {
  const std::optional<std::int64_t> integer = as_integer(value);
  return integer ? static_cast<double>(*integer) : content_of<double>(value);
}

std::optional<std::string> as_text(const SettingValue& value) {
  return content_of<std::string>(value);
}

ValueReader ValueReader::at(std::string_view key) const {
  require(std::holds_alternative<SettingValue::Table>(value_->value), Kind::corrupt_data,
          "{}: expected an object: found something else", path_);
  const SettingValue* member = member_of(*value_, key);
  require(member != nullptr, Kind::corrupt_data, "{}: expected a member {}: found none", path_,
          key);
  return {*member, fmt::format("{}.{}", path_, key)};
}

const SettingValue::Array& ValueReader::list() const {
  const auto* list = std::get_if<SettingValue::Array>(&value_->value);
  require(list != nullptr, Kind::corrupt_data, "{}: expected a list: found something else", path_);
  return *list;
}

std::vector<ValueReader> ValueReader::entries() const {
  std::vector<ValueReader> readers;
  for (const SettingValue& entry : list()) {
    readers.emplace_back(entry, fmt::format("{}[{}]", path_, readers.size()));
  }
  return readers;
}

std::vector<ValueReader> ValueReader::entries(std::int64_t count) const {
  std::vector<ValueReader> readers = entries();
  require(static_cast<std::int64_t>(readers.size()) == count, Kind::corrupt_data,
          "{}: expected {} entries: found {}", path_, count, readers.size());
  return readers;
}

std::string ValueReader::text() const { return expect(as_text(*value_), path_, "a text"); }

std::int64_t ValueReader::integer() const {
  return expect(as_integer(*value_), path_, "an integer");
}

std::int64_t ValueReader::integer(std::int64_t least, std::int64_t most) const {
  const std::int64_t value = integer();
  require(value >= least && value <= most, Kind::corrupt_data, "{}: expected {} to {}: found {}",
          path_, least, most, value);
  return value;
}

std::vector<std::int64_t> ValueReader::integers(std::int64_t least, std::int64_t most) const {
  std::vector<std::int64_t> values;
  for (const SettingValue& entry : list()) {
    const std::int64_t* value = std::get_if<std::int64_t>(&entry.value);
    if (value == nullptr || *value < least || *value > most) {
      ValueReader(entry, fmt::format("{}[{}]", path_, values.size())).integer(least, most);
    }
    values.push_back(*value);
  }
  return values;
}

double ValueReader::real() const {
  const std::optional<std::string> word = as_text(*value_);
  if (!word) {
    return expect(as_number(*value_), path_, "a number");
  }
  require(*word == "inf" || *word == "-inf" || *word == "nan", Kind::corrupt_data,
          "{}: expected a number: found \"{}\"", path_, *word);
  return *word == "inf"    ? kInfinity
         : *word == "-inf" ? -kInfinity
                           : std::numeric_limits<double>::quiet_NaN();
}

Digest128 ValueReader::digest_in(std::string_view digits) const {
  const std::optional<Digest128> digest = Digest128::from_hex(digits);
  require(digest.has_value(), Kind::corrupt_data, "{}: expected 32 hexadecimal digits: found {}",
          path_, digits);
  return *digest;
}

Digest128 ValueReader::digest() const { return digest_in(text()); }

std::vector<Digest128> ValueReader::digests() const {
  const auto* digits = std::get_if<std::string>(&value_->value);
  if (digits == nullptr) {
    text();  // throws
  }
  const std::string_view all = *digits;
  std::vector<Digest128> result;
  result.reserve(all.size() / Digest128::kHexDigits);
  for (std::size_t begin = 0; begin < all.size(); begin += Digest128::kHexDigits) {
    result.push_back(digest_in(all.substr(begin, Digest128::kHexDigits)));
  }
  return result;
}

}  // namespace keyshard
