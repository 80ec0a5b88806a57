#include "launch/reference/effective_config.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "runtime/json.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

/// A value as TOML has it: the strings of JSON are strings of TOML, but for the character 127.
std::string toml_text(const SettingValue& value) {
  std::string text;
  for (const char c : json_text(value)) {
    text += c == '\x7f' ? std::string("\\u007F") : std::string(1, c);
  }
  return text;
}

/// A key as TOML has it.
std::string key_text(const std::string& key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
  return bare ? key : toml_text(value_of(key));
}

/// The names of [tables.NAME] that a configuration gives, longer ones first: names may have dots.
std::vector<std::string> names_of_tables(const SettingValue& tree) {
  std::vector<std::string> names;
  if (const SettingValue* tables = member_of(tree, "tables")) {
    for (const auto& [name, table] : std::get<SettingValue::Table>(tables->value)) {
      names.push_back(name);
    }
  }
  std::stable_sort(names.begin(), names.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  return names;
}

/// Where the number of a column begins in the path of a table, and where it ends.
std::pair<std::size_t, std::size_t> number_in(const std::string& table) {
  const std::string columns = "data.columns[";
  return table.starts_with(columns) ? std::pair(columns.size(), table.find(']'))
                                    : std::pair(std::string::npos, std::string::npos);
}

/// The path of a table such that column 10 comes after column 9.
std::string order_of(std::string table) {
  const auto [begin, end] = number_in(table);
  if (begin != std::string::npos) {
    table.insert(begin, std::string(12 - std::min<std::size_t>(end - begin, 12), '0'));
  }
  return table;
}

std::string heading_of(std::string table, const std::vector<std::string>& names) {
  const auto [begin, end] = number_in(table);
  if (begin != std::string::npos) {
    const bool is_column = end + 1 == table.size();
    table.erase(begin - 1, end - begin + 2);
    return is_column ? "[[" + table + "]]" : "[" + table + "]";
  }
  for (const std::string& name : names) {
    const std::string whole = "tables." + name;
    if (table == whole || table.starts_with(whole + ".")) {
      return "[tables." + key_text(name) + table.substr(whole.size()) + "]";
    }
  }
  return "[" + table + "]";
}

/// A table of the configuration.
struct TableText {
  std::string path;
  std::string keys;    ///< a line each
  bool given = false;  ///< whether the configuration gives one of its keys
};

void add_key(const std::string& key, const SettingValue& value, TableText& table) {
  const std::string assignment = fmt::format("{} = {}", key_text(key), toml_text(value));
  table.given |= !value.place.empty();
  table.keys += value.place.empty() ? fmt::format("# {}\n", assignment)
                                    : fmt::format("{}  # {}\n", assignment, printable(value.place));
}

}  // namespace

std::string effective_config(const JobConfig& config) {
  std::map<std::string, TableText> tables;
  for (const auto& [path, value] : config.values) {
    const std::size_t dot = path.rfind('.');
    const std::string table = dot == std::string::npos ? "" : path.substr(0, dot);
    TableText& text = tables[order_of(table)];
    text.path = table;
    add_key(dot == std::string::npos ? path : path.substr(dot + 1), value, text);
  }
  const std::vector<std::string> names = names_of_tables(config.tree);
  std::string all = "# Given keys name their place; keys behind a # have their default.\n";
  for (const auto& [order, table] : tables) {
    if (!table.path.empty()) {
      all += fmt::format("\n{}{}\n", table.given ? "" : "# ", heading_of(table.path, names));
    }
    all += table.keys;
  }
  return all;
}

}  // namespace keyshard
