#include "launch/toml_file.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <toml++/toml.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

std::string place_of(const toml::node& node, const std::string& file) {
  return fmt::format("{}:{}", file, node.source().begin.line);
}

SettingValue convert(const toml::node& node, const std::string& file);

/// The keys of a table in the order of the file, which toml++ does not keep.
SettingValue::Table convert_table(const toml::table& table, const std::string& file) {
  std::vector<std::pair<std::uint32_t, std::pair<std::string, SettingValue>>> entries;
  for (const auto& [key, value] : table) {
    SettingValue converted = convert(value, file);
    if (!value.is_table() || key.source().begin.line != 0) {
      converted.place = fmt::format("{}:{}", file, key.source().begin.line);
    }
    entries.push_back({key.source().begin.line, {std::string(key.str()), std::move(converted)}});
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  SettingValue::Table values;
  for (auto& [line, entry] : entries) {
    values.push_back(std::move(entry));
  }
  return values;
}

SettingValue convert(const toml::node& node, const std::string& file) {
  SettingValue result;
  result.place = place_of(node, file);
  if (const auto* table = node.as_table()) {
    result.value = convert_table(*table, file);
  } else if (const auto* array = node.as_array()) {
    SettingValue::Array values;
    for (const toml::node& entry : *array) {
      values.push_back(convert(entry, file));
    }
    result.value = std::move(values);
  } else if (const auto* text = node.as_string()) {
    result.value = text->get();
  } else if (const auto* integer = node.as_integer()) {
    result.value = integer->get();
  } else if (const auto* number = node.as_floating_point()) {
    result.value = number->get();
  } else if (const auto* flag = node.as_boolean()) {
    result.value = flag->get();
  } else {
    fail(Kind::invalid_argument,
         "{}: expected a string, number, flag, list or table: found a date or time", result.place);
  }
  return result;
}

SettingValue parse(const std::string& text, const std::string& file) {
  try {
    return convert(toml::parse(text, file), file);
  } catch (const toml::parse_error& error) {
    fail(Kind::invalid_argument, "{}:{}: {}", file, error.source().begin.line, error.description());
  }
}

}  // namespace

SettingValue read_toml(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  require(file.good() && !std::filesystem::is_directory(path), Kind::invalid_argument,
          "{}: expected a readable configuration file", path);
  std::ostringstream text;
  text << file.rdbuf();
  return parse(text.str(), path);
}

void set_value(SettingValue& root, const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  require(equals != std::string::npos && equals > 0, Kind::invalid_argument,
          "expected --set key=value: found \"{}\"", assignment);
  const std::string path = assignment.substr(0, equals), text = assignment.substr(equals + 1);
  const std::string place = "--set " + path;
  SettingValue value;
  try {
    value = convert(*toml::parse("value = " + text).get("value"), place);
  } catch (const toml::parse_error&) {
    value.value = text == "\\t" ? "\t" : text;
  }
  value.place = place;

  SettingValue* at = &root;
  std::istringstream parts(path);
  for (std::string part; std::getline(parts, part, '.');) {
    if (std::holds_alternative<std::monostate>(at->value)) {
      at->value = SettingValue::Table{};
      at->place = place;
    }
    auto* table = std::get_if<SettingValue::Table>(&at->value);
    require(table != nullptr, Kind::invalid_argument, "{}: expected a table before \".{}\"", place,
            part);
    auto found = std::find_if(table->begin(), table->end(),
                              [&](const auto& entry) { return entry.first == part; });
    if (found == table->end()) {
      found = table->insert(table->end(), {part, SettingValue{}});
    }
    at = &found->second;
  }
  *at = std::move(value);
}

}  // namespace keyshard
