#include "io/text_record.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "io/first_bytes.hpp"
#include "io/text_header.hpp"
#include "io/text_number.hpp"
#include "io/text_transform.hpp"
#include "runtime/digest.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

/// The way out where a label is no number, or none that the loss takes.
constexpr const char* kPositive =
    "; positive = [\"...\"] on the column names the cells that count as 1";

std::string no_number(std::string_view cell, const ColumnOptions& column) {
  return fmt::format("column \"{}\": expected a number: found \"{}\"", column.name, shown(cell));
}

/// The problem with a cell whose number is no finite float; nothing where the number is finite.
std::optional<std::string> float_problem(float value, std::string_view cell,
                                         const ColumnOptions& column) {
  return std::isfinite(value) ? std::nullopt
                              : std::optional(fmt::format(
                                    "column \"{}\": expected a number of 32 bits: found \"{}\", "
                                    "which is not finite as float32",
                                    column.name, shown(cell)));
}

/// Refuses a label that is no positive one, but the same number: 1.0 where 1 counts.
std::optional<std::string> other_spelling(std::string_view cell, const ColumnOptions& column) {
  const std::optional<double> number = parse_number(cell);
  for (const std::string& text : column.positive) {
    if (number && number == parse_number(text)) {
      return fmt::format(
          "column \"{}\": expected \"{}\" for the label that counts as 1, or another number: found "
          "\"{}\"; positive may list both",
          column.name, shown(text), shown(cell));
    }
  }
  return std::nullopt;
}

/// The options that a parser reads: lists of files can be long, and each parser has a copy; a label
/// that is not needed is not read.
DataOptions options_of_records(DataOptions options) {
  options.train = options.valid = options.test = {};
  for (ColumnOptions& column : options.columns) {
    if (column.role == ColumnRole::label && !options.needs_labels) {
      column.role = ColumnRole::ignore;
    }
  }
  return options;
}

/// Sizes of a batch, to take back the sample of a bad line.
struct Mark {
  std::size_t labels, weights, dense, ids, id_weights, offsets;

  explicit Mark(const Batch& batch)
      : labels(batch.labels.size()),
        weights(batch.weights.size()),
        dense(batch.dense.size()),
        ids(batch.ids.size()),
        id_weights(batch.id_weights.size()),
        offsets(batch.id_offsets.size()) {}

  void restore(Batch& batch) const {
    batch.labels.resize(labels);
    batch.weights.resize(weights);
    batch.dense.resize(dense);
    batch.ids.resize(ids);
    batch.id_weights.resize(id_weights);
    batch.id_offsets.resize(offsets);
  }
};

}  // namespace

TextLine line_at(std::string_view bytes, std::size_t at) {
  const void* found = std::memchr(bytes.data() + at, '\n', bytes.size() - at);
  const std::size_t end =
      found == nullptr ? bytes.size()
                       : static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
  std::string_view text = bytes.substr(at, end - at);
  if (text.ends_with('\r')) {
    text.remove_suffix(1);
  }
  return {text, found == nullptr ? bytes.size() : end + 1};
}

RecordParser::RecordParser(const DataOptions& options, std::string_view first,
                           const std::string& place)
    : options_(options_of_records(options)),
      splitter_(options),
      first_place_(place),
      header_(options.header ? first : std::string_view()) {
  for (const ColumnOptions& column : options.columns) {
    whole_cells_ = std::max(whole_cells_, static_cast<std::size_t>(column.index + 1));
    if (column.role == ColumnRole::label && !options.needs_labels && column.index >= 0) {
      label_cell_ = static_cast<std::size_t>(column.index);
    }
    long_positive_ |= std::any_of(column.positive.begin(), column.positive.end(),
                                  [](const std::string& text) { return text.size() > 1; });
  }
  read_first(first, place);
  if (options_.header && all_by_index(options_)) {
    require_no_record(first, place);
  }
}

void RecordParser::read_first(std::string_view first, const std::string& place) {
  const char* problem = splitter_.split(first);
  require(problem == nullptr || !options_.header, Kind::bad_input, "{}: {}, in the header", place,
          problem == nullptr ? "" : problem);
  const std::vector<std::string_view>& cells = splitter_.cells();
  if (problem == nullptr && (options_.header || !first.empty())) {
    width_ = cells.size();
    last_is_unnamed_ = options_.header && cells.back().empty();
  }
  const std::vector<std::size_t> places = cells_of_columns(options_, cells, place);
  for (const ColumnOptions& column : options_.columns) {
    if (column.role != ColumnRole::ignore) {
      columns_.push_back({column, places[columns_.size()],
                          MissingTexts(options_.missing_of(column)),
                          column.role == ColumnRole::dense && column.buckets.empty()});
      least_cells_ = std::max(least_cells_, columns_.back().cell + 1);
    }
  }
  for (Column& column : columns_) {
    if (column.options.has_ids()) {
      column.ids.emplace(options_, column.options);
      column.weights = cell_of(column.options.id_weights);
      column.mask = cell_of(column.options.mask);
      weighted_ |= column.weights.has_value();
    }
  }
  find_kept(place);
}

/// The cell of the column of that name; nothing for no name.
std::optional<std::size_t> RecordParser::cell_of(const std::string& name) const {
  for (const Column& column : columns_) {
    if (!name.empty() && column.options.name == name) {
      return column.cell;
    }
  }
  return std::nullopt;
}

/// Finds the cells of DataOptions::keep; those of the first line are split.
void RecordParser::find_kept(const std::string& place) {
  kept_ = cells_of_names(options_, options_.keep, splitter_.cells(), place);
  for (const std::size_t cell : kept_) {
    least_cells_ = std::max(least_cells_, cell + 1);
  }
}

/// Whether the record that was split has every cell but that of a label that is not needed.
bool RecordParser::lacks_label() const {
  return label_cell_.has_value() && splitter_.cells().size() + 1 == whole_cells_;
}

/// The cell of the record that was split at a place that counts the label.
std::string_view RecordParser::cell_at(std::size_t place) const {
  return splitter_.cells()[place - (lacks_label() && place > *label_cell_ ? 1 : 0)];
}

/// Refuses a header that reads as a record: no cell has the name of its column, one at least shows
/// a value, and all that must be numbers are.
void RecordParser::require_no_record(std::string_view header, const std::string& place) {
  bool shows_value = false;
  for (const Column& column : columns_) {
    const std::string_view cell = cell_at(column.cell);
    const ColumnOptions& options = column.options;
    const bool is_value = options.positive.empty()
                              ? parse_number(cell).has_value()
                              : std::find(options.positive.begin(), options.positive.end(), cell) !=
                                    options.positive.end();
    const bool is_number = options.role == ColumnRole::weight ||
                           options.role == ColumnRole::dense ||
                           (options.role == ColumnRole::label && options.positive.empty()) ||
                           (options.role == ColumnRole::id && options.integer);
    if (cell == options.name || (is_number && !is_value && !options_.is_missing(options, cell))) {
      return;
    }
    shows_value |= is_value && (is_number || !options.positive.empty());
  }
  require(!shows_value, Kind::bad_input,
          "{}: expected a header, for data.header = true: found a line that reads as a record: "
          "\"{}\"; set header = false, or skip_lines to drop lines",
          place, shown(header));
}

bool RecordParser::has_all_cells() const {
  const std::size_t cells = splitter_.cells().size();
  return cells + (lacks_label() ? 1 : 0) >= least_cells_ &&
         (cells == width_ || width_ == 0 ||
          (cells == width_ + 1 && splitter_.cells().back().empty()) ||
          (cells + 1 == width_ && last_is_unnamed_));
}

/// What is wrong with a line that has too many or too few cells.
std::string RecordParser::wrong_cells(std::string_view line) const {
  const std::size_t found = splitter_.cells().size();
  const std::string hint = line.find('\r') != std::string_view::npos
                               ? "; the line holds a carriage return: lines end with LF or CR LF"
                           : !options_.quote && line.find('"') != std::string_view::npos
                               ? "; data.quote = true reads cells in quotes"
                               : "";
  return width_ < least_cells_
             ? fmt::format("expected at least {} cells: found {}{}", least_cells_, found, hint)
             : fmt::format("expected {} cells as in {}, {}: found {}{}", width_,
                           options_.header ? "the header" : "the first record", first_place_, found,
                           hint);
}

/// What is wrong with the bytes of a line, whatever its cells are; null: nothing.
const char* RecordParser::problem_of_line(std::string_view line) const {
  if (line.find('\0') != std::string_view::npos) {
    return "expected text: found a NUL byte, so a binary file";
  }
  if (line.ends_with('\r')) {
    return "expected a line that ends in LF or CR LF: found two carriage returns at its end";
  }
  const bool mark = line.starts_with(kByteOrderMark);
  if (!header_.empty() && line.substr(mark ? kByteOrderMark.size() : 0) == header_) {
    return "expected a record: found the header again, as where files were joined; a list of files "
           "in the configuration reads each with its header";
  }
  return mark ? "expected a record: found a byte order mark, as where files were joined; a list of "
                "files in the configuration reads each without its mark"
              : nullptr;
}

std::optional<std::string> RecordParser::parse_label(std::string_view cell,
                                                     const ColumnOptions& column,
                                                     Batch& batch) const {
  if (!column.positive.empty()) {
    const bool positive =
        std::find(column.positive.begin(), column.positive.end(), cell) != column.positive.end();
    batch.labels.push_back(positive ? 1.0f : 0.0f);
    if (options_.is_missing(column, cell) || (!positive && cell == column.name)) {
      return fmt::format("column \"{}\": expected a label: found \"{}\"", column.name, shown(cell));
    }
    const bool digit = cell.size() == 1 && !long_positive_;  // no other digit is the same number
    return positive || digit ? std::nullopt : other_spelling(cell, column);
  }
  const std::optional<double> number = parse_number(cell);
  if (!number) {
    return no_number(cell, column) + (options_.labels.reason.empty() ? "" : kPositive);
  }
  const auto label = static_cast<float>(*number);
  batch.labels.push_back(label);
  if (!std::isfinite(label) || options_.labels.has(label)) {
    return float_problem(label, cell, column);
  }
  return fmt::format(
      "column \"{}\": expected a label from {} to {}, for {} needs such: found \"{}\"{}",
      column.name, options_.labels.least, options_.labels.most, options_.labels.reason, shown(cell),
      kPositive);
}

std::optional<std::string> RecordParser::parse_weight(std::string_view cell,
                                                      const ColumnOptions& column,
                                                      Batch& batch) const {
  const std::optional<double> number = parse_number(cell);
  if (!number) {
    return no_number(cell, column);
  }
  const auto weight = static_cast<float>(*number);
  batch.weights.push_back(weight);
  if (*number < 0) {
    return fmt::format("column \"{}\": expected a weight of at least 0: found \"{}\"", column.name,
                       shown(cell));
  }
  return float_problem(weight, cell, column);
}

std::optional<std::string> RecordParser::parse_dense(std::string_view cell,
                                                     const ColumnOptions& column,
                                                     Batch& batch) const {
  const bool missing = options_.is_missing(column, cell);
  const std::optional<double> number = missing ? std::optional(0.0) : parse_number(cell);
  if (!number) {
    return no_number(cell, column);
  }
  if (!column.buckets.empty()) {
    const auto bucket = std::upper_bound(column.buckets.begin(), column.buckets.end(), *number) -
                        column.buckets.begin();
    batch.ids.push_back(missing ? missing_key(column.key_space) : static_cast<Key>(bucket));
    batch.id_offsets.push_back(static_cast<std::int64_t>(batch.ids.size()));
    return std::nullopt;
  }
  const float value = missing ? static_cast<float>(column.fill) : transformed(*number, column);
  batch.dense.push_back(value);
  return missing ? std::nullopt : float_problem(value, cell, column);
}

std::optional<std::string> RecordParser::parse_ids(std::size_t c, Batch& batch) const {
  const Column& column = columns_[c];
  IdCells cells{cell_at(column.cell), {}, {}};
  if (column.weights) {
    cells.weights = cell_at(*column.weights);
  }
  if (column.mask) {
    cells.mask = cell_at(*column.mask);
  }
  const std::optional<std::string> problem = column.ids->parse(cells, batch);
  batch.id_offsets.push_back(static_cast<std::int64_t>(batch.ids.size()));
  return problem;
}

std::optional<std::string> RecordParser::parse_column(std::size_t c, Batch& batch) const {
  const ColumnOptions& column = columns_[c].options;
  const std::string_view cell = cell_at(columns_[c].cell);
  return column.role == ColumnRole::label    ? parse_label(cell, column, batch)
         : column.role == ColumnRole::weight ? parse_weight(cell, column, batch)
         : column.role == ColumnRole::dense  ? parse_dense(cell, column, batch)
         : column.has_ids()                  ? parse_ids(c, batch)
                                             : std::nullopt;  // goes with ids
}

/// Adds an id, a short number or a missing one; else leaves the batch as it was: false.
inline bool RecordParser::add_quickly(const Column& column, std::string_view cell,
                                      Batch& batch) const {
  if (column.ids && column.ids->add_one(cell, batch)) {
    batch.id_offsets.push_back(static_cast<std::int64_t>(batch.ids.size()));
    return true;
  }
  if (!column.is_plain_dense) {
    return false;
  }
  if (column.missing.has(cell)) {
    batch.dense.push_back(static_cast<float>(column.options.fill));
    return true;
  }
  const std::optional<double> number = parse_short_decimal(cell);
  const float value = number ? transformed(*number, column.options) : 0;
  if (!number || !std::isfinite(value)) {
    return false;
  }
  batch.dense.push_back(value);
  return true;
}

std::optional<std::string> RecordParser::parse_cells(Batch& batch) const {
  const std::vector<std::string_view>& cells = splitter_.cells();
  const std::size_t lacking = lacks_label() ? *label_cell_ : cells.size();
  std::optional<std::string> problem;
  for (std::size_t c = 0; c < columns_.size() && !problem; ++c) {
    const std::size_t place = columns_[c].cell;
    if (!add_quickly(columns_[c], cells[place - (place > lacking ? 1 : 0)], batch)) {
      problem = parse_column(c, batch);
    }
  }
  if (weighted_) {
    batch.id_weights.resize(batch.ids.size(), 1);
  }
  return problem;
}

std::optional<std::string> RecordParser::parse(std::string_view line, Batch& batch) {
  if (const char* problem = problem_of_line(line)) {
    return problem;
  }
  if (const char* problem = splitter_.split(line)) {
    return problem;
  }
  if (!has_all_cells()) {
    return wrong_cells(line);
  }
  const Mark mark(batch);
  if (batch.id_offsets.empty()) {
    batch.id_offsets.push_back(0);
  }
  if (!options_.needs_labels) {
    batch.labels.push_back(0);
  }
  std::optional<std::string> problem = parse_cells(batch);
  if (problem) {
    mark.restore(batch);
    return problem;
  }
  for (const std::size_t place : kept_) {
    batch.kept.emplace_back(cell_at(place));
  }
  return std::nullopt;
}

}  // namespace keyshard
