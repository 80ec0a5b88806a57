#include "tests/support/golden_file.hpp"

#include <cmath>
#include <fstream>
#include <limits>

#include <nlohmann/json.hpp>

#include "runtime/error.hpp"

namespace keyshard::testing {

using Json = nlohmann::ordered_json;

/// Turns parsed JSON into the tree.
class GoldenParser {
 public:
  static GoldenValue value(const Json& json, const std::string& place) {
    GoldenValue result;
    result.place_ = place;
    if (json.is_boolean()) {
      result.value_ = json.get<bool>();
    } else if (json.is_number_integer()) {
      result.value_ = json.get<std::int64_t>();
    } else if (json.is_number()) {
      result.value_ = json.get<double>();
    } else if (json.is_string()) {
      result.value_ = json.get<std::string>();
    } else if (json.is_array()) {
      result.value_ = list(json, place);
    } else if (json.is_object() && json.contains("dtype") && json.contains("data")) {
      result.value_ = tensor(json, place);
    } else if (json.is_object()) {
      result.value_ = object(json, place);
    }
    return result;
  }

 private:
  static GoldenValue::List list(const Json& json, const std::string& place) {
    GoldenValue::List result;
    for (const Json& element : json) {
      result.push_back(value(element, fmt::format("{}[{}]", place, result.size())));
    }
    return result;
  }

  static GoldenValue::Object object(const Json& json, const std::string& place) {
    GoldenValue::Object result;
    for (const auto& [key, element] : json.items()) {
      result.emplace_back(key, value(element, place + "/" + key));
    }
    return result;
  }

  static double real(const Json& json, bool single) {
    if (json.is_string()) {
      const std::string& text = json.get_ref<const std::string&>();
      const double infinity = std::numeric_limits<double>::infinity();
      return text == "nan" ? std::nan("") : text == "-inf" ? -infinity : infinity;
    }
    const double number = json.get<double>();
    return single ? static_cast<double>(static_cast<float>(number)) : number;
  }

  static std::int64_t integer(const Json& json, const std::string& dtype) {
    if (!json.is_string()) {
      return json.is_boolean() ? json.get<bool>() : json.get<std::int64_t>();
    }
    const std::string& text = json.get_ref<const std::string&>();
    return dtype == "uint64" ? static_cast<std::int64_t>(std::stoull(text)) : std::stoll(text);
  }

  static GoldenTensor tensor(const Json& json, const std::string& place) {
    GoldenTensor result;
    result.dtype = json.at("dtype").get<std::string>();
    result.shape = json.at("shape").get<std::vector<std::int64_t>>();
    const Json& data = json.at("data");
    require(static_cast<std::int64_t>(data.size()) == result.size(), Kind::bad_input,
            "{}: expected {} elements by the shape: found {}", place, result.size(), data.size());
    for (const Json& element : data) {
      if (result.dtype == "string") {
        result.strings.push_back(element.get<std::string>());
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
    return GoldenParser::value(Json::parse(file), path + ": ");
  } catch (const std::exception& error) {
    fail(Kind::bad_input, "{}: expected a golden file: found {}", path, error.what());
  }
}

}  // namespace keyshard::testing
