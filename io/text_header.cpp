#include "io/text_header.hpp"

#include <algorithm>

#include "io/text_cells.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

using Cells = std::vector<std::string_view>;

std::string_view unquoted(std::string_view cell) {
  return cell.size() > 1 && cell.front() == '"' && cell.back() == '"'
             ? cell.substr(1, cell.size() - 2)
             : cell;
}

/// Whether one of the cells, as another option would read them, has this name.
bool has_name(const Cells& cells, const std::string& name) {
  return std::any_of(cells.begin(), cells.end(),
                     [&](std::string_view cell) { return unquoted(trimmed(cell)) == name; });
}

/// The cells of a header that was cut at `separator`, cut at another one.
Cells cut_again(const Cells& cells, const std::string& separator, const std::string& other,
                std::string& line) {
  line = joined(cells, separator);
  DataOptions options;
  options.separator = other;
  CellSplitter splitter(options);
  splitter.split(line);
  return splitter.cells();
}

/// The option that would find a column; empty: none is known.
std::string way_out(const DataOptions& options, const Cells& cells, const std::string& name) {
  if (has_name(cells, name)) {
    const bool quoted = std::any_of(cells.begin(), cells.end(), [&](std::string_view cell) {
      return trimmed(cell) != name && unquoted(trimmed(cell)) == name;
    });
    return quoted && !options.quote ? "; data.quote = true reads names in quotes"
                                    : "; data.trim = true drops the blanks around names";
  }
  std::string line;
  for (const auto& [separator, written] :
       {std::pair{",", ","}, {";", ";"}, {"\t", "\\t"}, {"|", "|"}, {" ", " "}, {"::", "::"}}) {
    if (options.separator != separator &&
        has_name(cut_again(cells, options.separator, separator, line), name)) {
      return fmt::format("; data.separator = \"{}\" would find it", written);
    }
  }
  const std::string near = nearest_word(name, {cells.begin(), cells.end()});
  return near.empty() ? "" : fmt::format("; did you mean \"{}\"?", shown(near));
}

[[noreturn]] void fail_to_find(const DataOptions& options, const Cells& cells,
                               const std::string& name, const std::string& place) {
  fail(Kind::bad_input,
       "{}: expected a column \"{}\" in the header: found {} other columns, between separators "
       "\"{}\": {}{}",
       place, shown(name), cells.size(), shown(options.separator),
       shown(fmt::format("\"{}\"", joined(cells, "\", \""))), way_out(options, cells, name));
}

std::size_t cell_of(const DataOptions& options, const ColumnOptions& column, const Cells& cells,
                    const std::string& place) {
  if (column.index >= 0) {
    require(!options.header || column.index < static_cast<std::int64_t>(cells.size()),
            Kind::bad_input,
            "{}: expected a cell with index {} for column \"{}\" in the header: found {} cells",
            place, column.index, shown(column.name), cells.size());
    return static_cast<std::size_t>(column.index);
  }
  const auto found = std::find(cells.begin(), cells.end(), column.name);
  if (found == cells.end()) {
    fail_to_find(options, cells, column.name, place);
  }
  const auto again = std::find(found + 1, cells.end(), column.name);
  require(again == cells.end(), Kind::bad_input,
          "{}: expected column \"{}\" once in the header: found it at the indices {} and {}; "
          "`index` on the column says which one counts",
          place, shown(column.name), found - cells.begin(), again - cells.begin());
  return static_cast<std::size_t>(found - cells.begin());
}

}  // namespace

std::vector<std::size_t> cells_of_columns(const DataOptions& options, const Cells& cells,
                                          const std::string& place) {
  std::vector<std::size_t> found;
  for (const ColumnOptions& column : options.columns) {
    if (column.role != ColumnRole::ignore) {
      found.push_back(cell_of(options, column, cells, place));
    }
  }
  return found;
}

std::vector<std::size_t> cells_of_names(const DataOptions& options,
                                        const std::vector<std::string>& names, const Cells& cells,
                                        const std::string& place) {
  DataOptions named = options;
  named.columns.clear();
  for (const std::string& name : names) {
    const auto known = std::find_if(options.columns.begin(), options.columns.end(),
                                    [&](const ColumnOptions& c) { return c.name == name; });
    ColumnOptions& column = named.columns.emplace_back();
    column.name = name;
    column.role = ColumnRole::id;
    column.index = known == options.columns.end() ? -1 : known->index;
  }
  return cells_of_columns(named, cells, place);
}

bool all_by_index(const DataOptions& options) {
  return std::all_of(options.columns.begin(), options.columns.end(),
                     [](const ColumnOptions& column) {
                       return column.role == ColumnRole::ignore || column.index >= 0;
                     });
}

}  // namespace keyshard
