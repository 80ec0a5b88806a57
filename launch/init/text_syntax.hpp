// How lines of text are cut into cells, guessed from the lines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "launch/init/text_sample.hpp"

namespace keyshard {

struct TextSyntax {
  std::string separator;
  bool quote = false;
  bool trim = false;
  bool header = false;
  std::int64_t skip_lines = 0;     ///< before the header or the first record
  std::vector<std::string> names;  ///< of the columns, as the header has them; none without one
  std::size_t cells = 0;           ///< of a record
  std::string sure;                ///< why there is a header or none, for a comment
};

/// The cells of a line in that syntax; empty where the line cannot be cut.
std::vector<std::string> cells_of(const TextSyntax& syntax, std::string_view line);

/// The separator that cuts most lines into equally many cells, at least two, and what goes with it.
/// Throws Error{bad_input} naming the best separator and its numbers of cells where it does not fit
/// 99 of 100 lines.
TextSyntax guess_syntax(const TextSample& sample);

/// The lines at the start of another file of the same data that are no records, without its
/// header: up to the first one with so many cells.
std::int64_t lines_to_skip(const TextSyntax& syntax, const TextSample& sample);

}  // namespace keyshard
