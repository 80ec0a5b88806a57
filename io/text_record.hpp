// Records of delimited text and what is in them. A record is a non-empty line; the index that
// counts records and the reader that parses them find line ends by the same function. The parser
// writes one sample to the end of a batch, or says what is wrong with the line and leaves the batch
// as it was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/batch.hpp"
#include "io/data_options.hpp"

namespace keyshard {

/// The line that starts at `at`: its text without the line end, and where the next line starts
/// (`size` after the last).
struct TextLine {
  std::string_view text;
  std::size_t next;
};

TextLine line_at(std::string_view bytes, std::size_t at);

class RecordParser {
 public:
  /// Columns without an index are found in `header`, the first line after the skipped ones. Throws
  /// Error{bad_input} with the nearest name where a column is missing; `place` is "file:line" of
  /// the header.
  RecordParser(const DataOptions& options, std::string_view header, const std::string& place);

  /// Adds the sample of a line: labels, weights, dense, ids, id_offsets. Returns what is wrong with
  /// the line, if anything.
  std::optional<std::string> parse(std::string_view line, Batch& batch);

 private:
  bool split(std::string_view line);
  bool split_quoted(std::string_view line);
  bool is_missing(std::string_view cell) const;
  std::optional<std::string> parse_label(std::string_view cell, const ColumnOptions& column,
                                         Batch& batch) const;
  std::optional<std::string> parse_dense(std::string_view cell, const ColumnOptions& column,
                                         Batch& batch) const;
  std::optional<std::string> parse_ids(std::string_view cell, std::size_t c, Batch& batch) const;
  std::optional<std::string> parse_id(std::string_view cell, std::size_t c, Batch& batch) const;

  struct Column {
    ColumnOptions options;
    std::size_t cell;
    std::uint64_t seed;  ///< of the hash that makes keys of strings
  };

  const DataOptions options_;
  std::vector<Column> columns_;
  std::size_t least_cells_ = 0;
  std::vector<std::string_view> cells_;
  std::string unquoted_;
};

/// The key of a missing cell in a column with on_missing = "own".
Key missing_key(const std::string& key_space);

}  // namespace keyshard
