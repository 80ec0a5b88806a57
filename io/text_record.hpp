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
#include "io/text_cells.hpp"
#include "io/text_ids.hpp"

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
  /// `first` is the header, or where there is none, the first record: it says how many cells a
  /// record has. Where it is empty and no header, records have any number. Columns without an index
  /// are found in the header. `place` is "file:line" of `first`. Throws Error{bad_input} where a
  /// column is missing or stands there twice, and where every column has an index and the header
  /// reads as a record, for then one would be dropped.
  RecordParser(const DataOptions& options, std::string_view first, const std::string& place);

  /// Adds the sample of a line: labels, weights, dense, ids, id_weights, id_offsets, kept. A line
  /// has as many cells as the first one, and may have one empty cell more at its end; the header
  /// may not come again. Returns what is wrong with the line, if anything.
  std::optional<std::string> parse(std::string_view line, Batch& batch);

 private:
  struct Column {
    ColumnOptions options;
    std::size_t cell;
    MissingTexts missing;
    bool is_plain_dense = false;                         ///< numbers, without buckets
    std::optional<IdsParser> ids = {};                   ///< of a column of ids
    std::optional<std::size_t> weights = {}, mask = {};  ///< the cells that go with the ids
  };

  void read_first(std::string_view first, const std::string& place);
  void find_kept(const std::string& place);
  bool lacks_label() const;
  std::string_view cell_at(std::size_t place) const;
  void require_no_record(std::string_view header, const std::string& place);
  bool has_all_cells() const;
  std::string wrong_cells(std::string_view line) const;
  const char* problem_of_line(std::string_view line) const;
  std::optional<std::string> parse_label(std::string_view cell, const ColumnOptions& column,
                                         Batch& batch) const;
  std::optional<std::string> parse_weight(std::string_view cell, const ColumnOptions& column,
                                          Batch& batch) const;
  std::optional<std::string> parse_dense(std::string_view cell, const ColumnOptions& column,
                                         Batch& batch) const;
  bool add_quickly(const Column& column, std::string_view cell, Batch& batch) const;
  std::optional<std::string> parse_column(std::size_t c, Batch& batch) const;
  std::optional<std::string> parse_ids(std::size_t c, Batch& batch) const;
  std::optional<std::string> parse_cells(Batch& batch) const;

  std::optional<std::size_t> cell_of(const std::string& name) const;

  const DataOptions options_;  // without the names of files
  CellSplitter splitter_;
  std::vector<Column> columns_;
  bool weighted_ = false;  // ids of a column have weights
  std::size_t least_cells_ = 0;
  std::vector<std::size_t> kept_;  // cells of DataOptions::keep
  // Of a label that is not needed and has an index: its cell, and the cells of a record that has
  // it.
  std::optional<std::size_t> label_cell_;
  std::size_t whole_cells_ = 0;
  bool long_positive_ = false;    // some ColumnOptions::positive has more than one character
  std::size_t width_ = 0;         // cells of a record; 0: any number
  bool last_is_unnamed_ = false;  // the last cell of the header is empty, and records may lack it
  std::string first_place_;
  std::string header_;  // empty: none
};

}  // namespace keyshard
