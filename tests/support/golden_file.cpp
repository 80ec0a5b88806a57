#include "tests/support/golden_file.hpp"

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>

#include "runtime/error.hpp"
#include "runtime/json.hpp"

namespace keyshard::testing {

/// Turns parsed JSON into the tree.
class GoldenParser {
 public:
  static GoldenValue value(const SettingValue& json, const std::string& place) {
    GoldenValue result;
    result.place_ = place;
    if (const auto* entries = std::get_if<SettingValue::Array>(&json.value)) {
      result.value_ = list(*entries, place);
    } else if (member(json, "dtype") != nullptr && member(json, "data") != nullptr) {
      result.value_ = tensor(json, place);
    } else if (const auto* members = std::get_if<SettingValue::Table>(&json.value)) {
      result.value_ = object(*members, place);
    } else if (const auto* flag = std::get_if<bool>(&json.value)) {
      result.value_ = *flag;
    } else if (const auto* whole = std::get_if<std::int64_t>(&json.value)) {
      result.value_ = *whole;
    } else if (const auto* number = std::get_if<double>(&json.value)) {
      result.value_ = *number;
    } else if (const auto* text = std::get_if<std::string>(&json.value)) {
      result.value_ = *text;
    }
    return result;
  }

 private:
  /// Null where the value is no object, or has no such member.
  static const SettingValue* member(const SettingValue& json, std::string_view key) {
    if (const auto* members = std::get_if<SettingValue::Table>(&json.value)) {
      for (const auto& [name, entry] : *members) {
        if (name == key) {
          return &entry;
        }
      }
    }
    return nullptr;
  }

  static GoldenValue::List list(const SettingValue::Array& entries, const std::string& place) {
    GoldenValue::List result;
    for (const SettingValue& element : entries) {
      result.push_back(value(element, fmt::format("{}[{}]", place, result.size())));
    }
    return result;
  }

  static GoldenValue::Object object(const SettingValue::Table& members, const std::string& place) {
    GoldenValue::Object result;
    for (const auto& [key, element] : members) {
      result.emplace_back(key, value(element, place + "/" + key));
    }
    return result;
  }

  static double real(const SettingValue& json, bool single) {
    if (const auto* text = std::get_if<std::string>(&json.value)) {
      const double infinity = std::numeric_limits<double>::infinity();
      return *text == "nan" ? std::nan("") : *text == "-inf" ? -infinity : infinity;
    }
    const auto* whole = std::get_if<std::int64_t>(&json.value);
    const double number =
        whole != nullptr ? static_cast<double>(*whole) : std::get<double>(json.value);
    return single ? static_cast<double>(static_cast<float>(number)) : number;
  }

  static std::int64_t integer(const SettingValue& json, const std::string& dtype) {
    if (const auto* text = std::get_if<std::string>(&json.value)) {
      return dtype == "uint64" ? static_cast<std::int64_t>(std::stoull(*text)) : std::stoll(*text);
    }
    const auto* flag = std::get_if<bool>(&json.value);
    return flag != nullptr ? *flag : std::get<std::int64_t>(json.value);
  }

  static GoldenTensor tensor(const SettingValue& json, const std::string& place) {
    GoldenTensor result;
    result.dtype = std::get<std::string>(member(json, "dtype")->value);
    const SettingValue* shape = member(json, "shape");
    require(shape != nullptr, Kind::bad_input, "{}: expected a shape: found none", place);
    for (const SettingValue& extent : std::get<SettingValue::Array>(shape->value)) {
      result.shape.push_back(std::get<std::int64_t>(extent.value));
    }
    const auto& data = std::get<SettingValue::Array>(member(json, "data")->value);
    require(static_cast<std::int64_t>(data.size()) == result.size(), Kind::bad_input,
            "{}: expected {} elements by the shape: found {}", place, result.size(), data.size());
    for (const SettingValue& element : data) {
      if (result.dtype == "string") {
        result.strings.push_back(std::get<std::string>(element.value));
      } else if (result.dtype == "float32" || result.dtype == "float64") {
        result.reals.push_back(real(element, result.dtype == "float32"));
      } else {
        result.integers.push_back(integer(element, result.dtype));
      }
    }
    return result;
  }
};

std::int64_t GoldenTensor::size() const {
  std::int64_t elements = 1;
  for (const std::int64_t extent : shape) {
    elements *= extent;
  }
  return elements;
}

double GoldenValue::number() const {
  if (is_tensor() && tensor().reals.size() == 1) {
    return tensor().reals[0];
  }
  if (const auto* whole = std::get_if<std::int64_t>(&value_)) {
    return static_cast<double>(*whole);
  }
  return get<double>("a number");
}

bool GoldenValue::has(std::string_view key) const {
  const Object* members = std::get_if<Object>(&value_);
  if (members == nullptr) {
    return false;
  }
  for (const auto& [name, member] : *members) {
    if (name == key) {
      return true;
    }
  }
  return false;
}

const GoldenValue& GoldenValue::operator[](std::string_view key) const {
  for (const auto& [name, member] : object()) {
    if (name == key) {
      return member;
    }
  }
  fail(Kind::bad_input, "{}: expected a member \"{}\": found none", place_, key);
}

void GoldenValue::fail_as(const char* expected) const {
  fail(Kind::bad_input, "{}: expected {}: found something else", place_, expected);
}

GoldenValue read_golden(const std::string& path) {
  std::ifstream file(path);
  require(file.good(), Kind::io, "expected a readable golden file: found \"{}\"", path);
  try {
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return GoldenParser::value(parse_json(text, ""), path + ": ");
  } catch (const std::exception& error) {
    fail(Kind::bad_input, "{}: expected a golden file: found {}", path, error.what());
  }
}

}  // namespace keyshard::testing
