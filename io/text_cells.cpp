#include "io/text_cells.hpp"

#include <algorithm>
#include <cstring>

namespace keyshard {
namespace {

constexpr const char* kOpenQuote =
    "expected a closing quote on the same line: found none; a line break inside quotes is not read";
constexpr const char* kTextBehindQuote =
    "expected a separator behind a closing quote: found text; a quote inside quotes is written as "
    "two";

}  // namespace

inline std::size_t CellSplitter::end_of_cell(std::string_view line, std::size_t begin) const {
  if (separator_.size() != 1) {
    return std::min(line.find(separator_, begin), line.size());
  }
  const void* found = std::memchr(line.data() + begin, separator_[0], line.size() - begin);
  return found == nullptr ? line.size()
                          : static_cast<std::size_t>(static_cast<const char*>(found) - line.data());
}

const char* CellSplitter::split(std::string_view line) {
  cells_.clear();
  if (separator_.size() == 1) {
    return split_by_byte(line);
  }
  if (quote_ && line.find('"') != std::string_view::npos) {
    return split_quoted(line);
  }
  for (std::size_t begin = 0;;) {
    const std::size_t end = end_of_cell(line, begin);
    add_cell(line.substr(begin, end - begin));
    if (end == line.size()) {
      return nullptr;
    }
    begin = end + separator_.size();
  }
}

/// Where the separator is one byte: piece by piece, until a quote shows up.
const char* CellSplitter::split_by_byte(std::string_view line) {
  std::size_t begin = 0;
  for (std::size_t at = 0; at < line.size(); at += kMarkPiece) {
    find_(line.substr(at, kMarkPiece), separator_[0], marks_);
    if (quote_ && marks_.quotes) {
      return split_quoted(line);
    }
    for (std::size_t i = 0; i < marks_.separators; ++i) {
      const std::size_t end = at + marks_.at[i];
      add_cell({line.data() + begin, end - begin});
      begin = end + 1;
    }
  }
  add_cell(line.substr(begin));
  return nullptr;
}

const char* CellSplitter::split_quoted(std::string_view line) {
  cells_.clear();
  // The buffer never grows while views point into it.
  unquoted_.clear();
  unquoted_.reserve(line.size());
  for (std::size_t at = 0;;) {
    const std::size_t begin = skip_blanks(line, at);
    if (begin < line.size() && line[begin] == '"') {
      at = begin + 1;
      if (const char* problem = take_quoted(line, at)) {
        return problem;
      }
    } else {
      const std::size_t end = end_of_cell(line, at);
      add_cell(line.substr(at, end - at));
      at = end;
    }
    if (at == line.size()) {
      return nullptr;
    }
    at += separator_.size();
  }
}

/// Takes the cell whose text begins at `at`, behind its quote; `at` becomes the end of the cell.
const char* CellSplitter::take_quoted(std::string_view line, std::size_t& at) {
  const std::size_t buffered = unquoted_.size();
  std::string_view cell;
  for (;;) {
    const std::size_t quote = line.find('"', at);
    if (quote == std::string_view::npos) {
      return kOpenQuote;
    }
    const bool doubled = quote + 1 < line.size() && line[quote + 1] == '"';
    cell = line.substr(at, quote - at);
    if (doubled || unquoted_.size() > buffered) {
      unquoted_.append(line.substr(at, quote - at + (doubled ? 1 : 0)));
      cell = std::string_view(unquoted_).substr(buffered);
    }
    at = quote + (doubled ? 2 : 1);
    if (!doubled) {
      break;
    }
  }
  add_cell(cell);
  at = skip_blanks(line, at);
  return ends_cell(line, at) ? nullptr : kTextBehindQuote;
}

bool CellSplitter::ends_cell(std::string_view line, std::size_t at) const {
  return at == line.size() || line.substr(at, separator_.size()) == separator_;
}

/// Where the next character is that is no blank, if blanks around cells are dropped.
std::size_t CellSplitter::skip_blanks(std::string_view line, std::size_t at) const {
  while (trim_ && at < line.size() && (line[at] == ' ' || line[at] == '\t') &&
         !ends_cell(line, at)) {
    ++at;
  }
  return at;
}

}  // namespace keyshard
