// The cells of a line. Separators end a cell; where quotes are read, a cell that begins with a
// quote ends with its closing quote, holds separators as text, and has two quotes for each one
// meant. A quote anywhere else is text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io/data_options.hpp"
#include "io/text_marks.hpp"

namespace keyshard {

/// A cell without the spaces and tabs around it.
inline std::string_view trimmed(std::string_view cell) {
  while (!cell.empty() && (cell.front() == ' ' || cell.front() == '\t')) {
    cell.remove_prefix(1);
  }
  while (!cell.empty() && (cell.back() == ' ' || cell.back() == '\t')) {
    cell.remove_suffix(1);
  }
  return cell;
}

class CellSplitter {
 public:
  explicit CellSplitter(const DataOptions& options) : CellSplitter(options, best_mark_finder()) {}

  /// The same with a version of the search for separators, which all give the same cells.
  CellSplitter(const DataOptions& options, MarkFinder finder)
      : separator_(options.separator), quote_(options.quote), trim_(options.trim), find_(finder) {}

  /// Finds the cells of a line. Returns what is wrong with the line, or null. The cells are valid
  /// until the next call, and as long as the line is.
  const char* split(std::string_view line);

  const std::vector<std::string_view>& cells() const noexcept { return cells_; }

 private:
  void add_cell(std::string_view cell) { cells_.push_back(trim_ ? trimmed(cell) : cell); }

  const char* split_by_byte(std::string_view line);
  const char* split_quoted(std::string_view line);
  const char* take_quoted(std::string_view line, std::size_t& at);
  std::size_t end_of_cell(std::string_view line, std::size_t begin) const;
  std::size_t skip_blanks(std::string_view line, std::size_t at) const;
  bool ends_cell(std::string_view line, std::size_t at) const;

  std::string separator_;
  bool quote_;
  bool trim_;
  MarkFinder find_;
  TextMarks marks_;
  std::vector<std::string_view> cells_;
  std::string unquoted_;  // the cells that had doubled quotes
};

}  // namespace keyshard
