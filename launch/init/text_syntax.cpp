#include "launch/init/text_syntax.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include <fmt/format.h>

#include "io/text_cells.hpp"
#include "io/text_number.hpp"
#include "launch/init/column_facts.hpp"
#include "runtime/error.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

constexpr std::size_t kLooked = 2000;  // lines that decide about the syntax
constexpr std::int64_t kMostSkipped = 10;

CellSplitter splitter_of(const TextSyntax& syntax) {
  DataOptions options;
  options.separator = syntax.separator;
  options.quote = syntax.quote;
  options.trim = syntax.trim;
  return CellSplitter(options);
}

/// How often lines have a number of cells; 0: they cannot be cut.
std::map<std::size_t, std::size_t> counts_of(const TextSyntax& syntax, const TextSample& sample) {
  CellSplitter splitter = splitter_of(syntax);
  std::map<std::size_t, std::size_t> counts;
  const auto skipped = static_cast<std::size_t>(syntax.skip_lines);
  for (std::size_t i = skipped; i < std::min(skipped + kLooked, sample.lines.size()); ++i) {
    ++counts[splitter.split(sample.lines[i]) == nullptr ? splitter.cells().size() : 0];
  }
  return counts;
}

/// The number of cells that most lines have, and the share of these lines.
struct Fit {
  std::size_t cells = 0;
  double share = 0;
};

Fit fit_of(const std::map<std::size_t, std::size_t>& counts) {
  Fit fit;
  std::size_t lines = 0, most = 0;
  for (const auto& [cells, count] : counts) {
    lines += count;
    if (cells > 1 && count > most) {
      most = count;
      fit.cells = cells;
    }
  }
  fit.share = static_cast<double>(most) / static_cast<double>(lines);
  return fit;
}

bool has_quotes(const TextSample& sample, const std::string& separator) {
  const std::string inner = separator + "\"";
  return std::any_of(sample.lines.begin(), sample.lines.end(), [&](const std::string& line) {
    return line.starts_with('"') || line.find(inner) != std::string::npos;
  });
}

/// Whether most lines have a cell with a blank in front.
bool has_blanks(const TextSample& sample, const std::string& separator) {
  if (separator == " ") {
    return false;
  }
  const auto blank = [&](const std::string& line) {
    return line.find(separator + " ") != std::string::npos;
  };
  return std::count_if(sample.lines.begin(), sample.lines.end(), blank) * 2 >
         std::ssize(sample.lines);
}

/// The syntax whose separator fits best; of those that fit equally well, the first.
std::pair<TextSyntax, Fit> best_separator(const TextSample& sample) {
  TextSyntax best;
  best.separator = ",";
  Fit best_fit;
  for (const char* separator : {"\t", ",", ";", "|", "::", " "}) {
    TextSyntax syntax;
    syntax.separator = separator;
    syntax.quote = has_quotes(sample, separator);
    for (const bool trim : {false, true}) {  // blanks behind a closing quote
      syntax.trim = trim && syntax.quote;
      const Fit fit = fit_of(counts_of(syntax, sample));
      if (fit.share > best_fit.share + 1e-9) {
        best = syntax;
        best_fit = fit;
      }
    }
  }
  return {best, best_fit};
}

std::string shown_counts(const std::map<std::size_t, std::size_t>& counts) {
  std::string text;
  std::size_t shown = 0;
  for (const auto& [cells, count] : counts) {
    if (shown++ == 5) {
      return text + ", ...";
    }
    text += fmt::format("{}{} in {} lines", text.empty() ? "" : ", ", cells, count);
  }
  return text;
}

bool is_number(const std::string& cell) { return parse_number(cell).has_value(); }

/// Whether a cell can be the name of a column: it has a letter, and is no text for a missing value.
bool is_name(const std::string& cell) {
  const bool letters = std::any_of(cell.begin(), cell.end(), [](unsigned char c) {
    return c >= 0x80 || std::isalpha(c) != 0;  // UTF-8 beyond ASCII counts as letters
  });
  return letters && !is_number(cell) && !stands_for_nothing(cell);
}

/// Whether the first line names the columns: a name stands above numbers; or all cells are
/// different names, and none comes again in its column.
bool is_header(const std::vector<std::vector<std::string>>& rows, std::string& why) {
  const std::vector<std::string>& first = rows[0];
  const auto below = [&](std::size_t c, const auto& fits) {
    return static_cast<std::size_t>(
        std::count_if(rows.begin() + 1, rows.end(), [&](const auto& row) { return fits(row[c]); }));
  };
  for (std::size_t c = 0; c < first.size(); ++c) {
    if (is_name(first[c]) && rows.size() > 1 && below(c, is_number) * 10 > (rows.size() - 1) * 9) {
      why = fmt::format("a header, for \"{}\" stands above numbers", shown(first[c]));
      return true;
    }
  }
  const std::set<std::string> names(first.begin(), first.end());
  if (rows.size() < 2 || names.size() != first.size() ||
      !std::all_of(first.begin(), first.end(), is_name)) {
    why = "no header, for the first line has numbers, missing values or equal cells";
    return false;
  }
  for (std::size_t c = 0; c < first.size(); ++c) {
    if (below(c, [&](const std::string& cell) { return cell == first[c]; }) > 0) {
      why = fmt::format("no header, for \"{}\" stands in other lines too", shown(first[c]));
      return false;
    }
  }
  why = "a header, for none of the first cells comes again in its column";
  return true;
}

/// Looks for a header; every row has as many cells as most lines.
void find_header(const TextSample& sample, TextSyntax& syntax) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = static_cast<std::size_t>(syntax.skip_lines);
       i < sample.lines.size() && rows.size() < kLooked; ++i) {
    std::vector<std::string> cells = cells_of(syntax, sample.lines[i]);
    if (cells.size() == syntax.cells) {
      rows.push_back(std::move(cells));
    }
  }
  syntax.header = is_header(rows, syntax.sure);
  if (syntax.header) {
    syntax.names = rows[0];
  }
}

}  // namespace

std::vector<std::string> cells_of(const TextSyntax& syntax, std::string_view line) {
  CellSplitter splitter = splitter_of(syntax);
  if (splitter.split(line) != nullptr) {
    return {};
  }
  return {splitter.cells().begin(), splitter.cells().end()};
}

TextSyntax guess_syntax(const TextSample& sample) {
  auto [syntax, fit] = best_separator(sample);
  syntax.cells = fit.cells;
  syntax.trim = syntax.trim || has_blanks(sample, syntax.separator);
  syntax.skip_lines = lines_to_skip(syntax, sample);
  const auto counts = counts_of(syntax, sample);
  fit = fit_of(counts);
  require(fit.cells > 1 && fit.share > 0.99, Kind::bad_input,
          "{}: expected records with equally many cells, at least 2, between tabs, commas, "
          "semicolons, \"|\", \"::\" or blanks: found with the best of them, \"{}\", {}; a list "
          "stands in one cell, with a separator of its own",
          sample.path, shown(syntax.separator),
          counts.empty() ? "none" : "cells " + shown_counts(counts));
  find_header(sample, syntax);
  return syntax;
}

std::int64_t lines_to_skip(const TextSyntax& syntax, const TextSample& sample) {
  const auto most = std::min<std::int64_t>(kMostSkipped, std::ssize(sample.lines) - 1);
  for (std::int64_t i = 0; i <= most; ++i) {
    if (cells_of(syntax, sample.lines[static_cast<std::size_t>(i)]).size() == syntax.cells) {
      return i;
    }
  }
  return 0;
}

}  // namespace keyshard
