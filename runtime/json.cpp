#include "runtime/json.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const SettingValue& value) {
  struct Convert {
    Json operator()(std::monostate) const { return nullptr; }

    Json operator()(bool b) const { return b; }

    Json operator()(std::int64_t i) const { return i; }

    Json operator()(double d) const { return std::isfinite(d) ? Json(d) : Json(nullptr); }

    Json operator()(const std::string& s) const { return s; }

    Json operator()(const SettingValue::Array& values) const {
      Json array = Json::array();
      for (const SettingValue& entry : values) {
        array.push_back(to_json(entry));
      }
      return array;
    }

    Json operator()(const SettingValue::Table& values) const {
      Json object = Json::object();
      for (const auto& [name, entry] : values) {
        object[name] = to_json(entry);
      }
      return object;
    }
  };

  return std::visit(Convert{}, value.value);
}

SettingValue from_json(const Json& json, const std::string& place) {
  SettingValue result;
  result.place = place;
  if (json.is_boolean()) {
    result.value = json.get<bool>();
  } else if (json.is_number_unsigned() && json.get<std::uint64_t>() > std::uint64_t{INT64_MAX}) {
    result.value = json.get<double>();  // no setting is an integer of that size
  } else if (json.is_number_integer()) {
    result.value = json.get<std::int64_t>();
  } else if (json.is_number()) {
    result.value = json.get<double>();
  } else if (json.is_string()) {
    result.value = json.get<std::string>();
  } else if (json.is_array()) {
    SettingValue::Array values;
    for (const Json& entry : json) {
      values.push_back(from_json(entry, place));
    }
    result.value = std::move(values);
  } else if (json.is_object()) {
    SettingValue::Table values;
    for (const auto& [name, entry] : json.items()) {
      values.emplace_back(name, from_json(entry, place));
    }
    result.value = std::move(values);
  }
  return result;
}

}  // namespace

std::string json_text(const SettingValue& tree, bool indented) {
  return to_json(tree).dump(indented ? 2 : -1, ' ', false, Json::error_handler_t::replace);
}

SettingValue parse_json(const std::string& text, const std::string& place) {
  try {
    return from_json(Json::parse(text), place);
  } catch (const Json::exception& error) {
    fail(Kind::corrupt_data, "{}: expected JSON: {}", place, error.what());
  }
}

}  // namespace keyshard
