#include "io/text_record.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "runtime/digest.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"
#include "runtime/portable_math.hpp"

namespace keyshard {
namespace {

std::string_view trimmed(std::string_view cell) {
  while (!cell.empty() && (cell.front() == ' ' || cell.front() == '\t')) {
    cell.remove_prefix(1);
  }
  while (!cell.empty() && (cell.back() == ' ' || cell.back() == '\t')) {
    cell.remove_suffix(1);
  }
  return cell;
}

std::optional<double> parse_number(std::string_view cell) {
  double value = 0;
  // from_chars takes no plus.
  const char* begin = cell.data() + (cell.starts_with('+') && !cell.starts_with("+-") ? 1 : 0);
  const auto [end, error] = std::from_chars(begin, cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

/// The problem with a cell whose number is no finite float; nothing where the number is finite.
std::optional<std::string> float_problem(float value, std::string_view cell,
                                         const ColumnOptions& column) {
  return std::isfinite(value)
             ? std::nullopt
             : std::optional(fmt::format(
                   "column \"{}\": expected a number of 32 bits: found \"{}\"", column.name, cell));
}

/// A whole number from -2^63 to 2^64 - 1, as 64 bits.
std::optional<Key> parse_integer(std::string_view cell) {
  std::int64_t number = 0;
  std::uint64_t large = 0;
  const char* end = cell.data() + cell.size();
  if (const auto [at, error] = std::from_chars(cell.data(), end, number);
      error == std::errc() && at == end) {
    return static_cast<Key>(number);
  }
  if (const auto [at, error] = std::from_chars(cell.data(), end, large);
      error == std::errc() && at == end) {
    return large;
  }
  return std::nullopt;
}

std::size_t column_of(const ColumnOptions& column, const std::vector<std::string_view>& header,
                      const std::string& place) {
  if (column.index >= 0) {
    return static_cast<std::size_t>(column.index);
  }
  const auto found = std::find(header.begin(), header.end(), column.name);
  if (found != header.end()) {
    return static_cast<std::size_t>(found - header.begin());
  }
  const std::string near = nearest_word(column.name, {header.begin(), header.end()});
  fail(Kind::bad_input, "{}: expected a column \"{}\" in the header: found {} other columns{}",
       place, column.name, header.size(),
       near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
}

/// Sizes of a batch, to take back the sample of a bad line.
struct Mark {
  std::size_t labels, weights, dense, ids, offsets;

  explicit Mark(const Batch& batch)
      : labels(batch.labels.size()),
        weights(batch.weights.size()),
        dense(batch.dense.size()),
        ids(batch.ids.size()),
        offsets(batch.id_offsets.size()) {}

  void restore(Batch& batch) const {
    batch.labels.resize(labels);
    batch.weights.resize(weights);
    batch.dense.resize(dense);
    batch.ids.resize(ids);
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

Key missing_key(const std::string& key_space) { return hash_of(hash_bytes(key_space), 0x3155146); }

RecordParser::RecordParser(const DataOptions& options, std::string_view header,
                           const std::string& place)
    : options_(options) {
  std::vector<std::string_view> names;
  if (options_.header) {
    require(split(header), Kind::bad_input, "{}: expected a header: found an open quote", place);
    names = cells_;
  }
  for (const ColumnOptions& column : options_.columns) {
    if (column.role == ColumnRole::ignore) {
      continue;
    }
    columns_.push_back({column, column_of(column, names, place), hash_bytes(column.key_space)});
    least_cells_ = std::max(least_cells_, columns_.back().cell + 1);
  }
}

bool RecordParser::split(std::string_view line) {
  cells_.clear();
  if (options_.quote && line.find('"') != std::string_view::npos) {
    return split_quoted(line);
  }
  const std::string& separator = options_.separator;
  std::size_t begin = 0;
  for (;;) {
    std::size_t end;
    if (separator.size() == 1) {
      const void* found = std::memchr(line.data() + begin, separator[0], line.size() - begin);
      end = found == nullptr
                ? line.size()
                : static_cast<std::size_t>(static_cast<const char*>(found) - line.data());
    } else {
      end = std::min(line.find(separator, begin), line.size());
    }
    const std::string_view cell = line.substr(begin, end - begin);
    cells_.push_back(options_.trim ? trimmed(cell) : cell);
    if (end == line.size()) {
      return true;
    }
    begin = end + separator.size();
  }
}

bool RecordParser::split_quoted(std::string_view line) {
  // Cells are rebuilt without quotes; a doubled quote inside stands for one. The buffer never grows
  // while views point into it.
  unquoted_.clear();
  unquoted_.reserve(line.size());
  std::size_t at = 0;
  for (;;) {
    const std::size_t begin = unquoted_.size();
    bool quoted = false;
    while (at < line.size() &&
           (quoted || line.substr(at, options_.separator.size()) != options_.separator)) {
      if (line[at] == '"' && quoted && at + 1 < line.size() && line[at + 1] == '"') {
        unquoted_.push_back('"');
        ++at;
      } else if (line[at] == '"') {
        quoted = !quoted;
      } else {
        unquoted_.push_back(line[at]);
      }
      ++at;
    }
    if (quoted) {
      return false;
    }
    const std::string_view cell(unquoted_.data() + begin, unquoted_.size() - begin);
    cells_.push_back(options_.trim ? trimmed(cell) : cell);
    if (at >= line.size()) {
      return true;
    }
    at += options_.separator.size();
  }
}

bool RecordParser::is_missing(std::string_view cell) const {
  return std::find(options_.missing.begin(), options_.missing.end(), cell) !=
         options_.missing.end();
}

std::optional<std::string> RecordParser::parse_label(std::string_view cell,
                                                     const ColumnOptions& column,
                                                     Batch& batch) const {
  if (!column.positive.empty()) {
    batch.labels.push_back(std::find(column.positive.begin(), column.positive.end(), cell) !=
                                   column.positive.end()
                               ? 1.0f
                               : 0.0f);
    return is_missing(cell)
               ? std::optional(fmt::format("column \"{}\": expected a label: found \"{}\"",
                                           column.name, cell))
               : std::nullopt;
  }
  const std::optional<double> number = parse_number(cell);
  if (!number) {
    return fmt::format("column \"{}\": expected a number: found \"{}\"", column.name, cell);
  }
  (column.role == ColumnRole::weight ? batch.weights : batch.labels)
      .push_back(static_cast<float>(*number));
  if (column.role == ColumnRole::weight && *number < 0) {
    return fmt::format("column \"{}\": expected a weight of at least 0: found \"{}\"", column.name,
                       cell);
  }
  return float_problem(static_cast<float>(*number), cell, column);
}

std::optional<std::string> RecordParser::parse_dense(std::string_view cell,
                                                     const ColumnOptions& column,
                                                     Batch& batch) const {
  const bool missing = is_missing(cell);
  const std::optional<double> number = missing ? std::optional(0.0) : parse_number(cell);
  if (!number) {
    return fmt::format("column \"{}\": expected a number: found \"{}\"", column.name, cell);
  }
  if (!column.buckets.empty()) {
    const auto bucket = std::upper_bound(column.buckets.begin(), column.buckets.end(), *number) -
                        column.buckets.begin();
    batch.ids.push_back(missing ? missing_key(column.key_space) : static_cast<Key>(bucket));
    batch.id_offsets.push_back(static_cast<std::int64_t>(batch.ids.size()));
    return std::nullopt;
  }
  float value = static_cast<float>(*number);
  if (missing) {
    value = static_cast<float>(column.fill);
  } else if (column.transform == DenseTransform::log) {
    value = static_cast<float>(std::copysign(portable_log(1.0 + std::fabs(*number)), *number));
  } else if (column.transform == DenseTransform::standard) {
    value = static_cast<float>((*number - column.mean) / column.stddev);
  }
  batch.dense.push_back(value);
  return missing ? std::nullopt : float_problem(value, cell, column);
}

std::optional<std::string> RecordParser::parse_id(std::string_view cell, std::size_t c,
                                                  Batch& batch) const {
  const Column& column = columns_[c];
  if (is_missing(cell)) {
    if (column.options.missing_is_id) {
      batch.ids.push_back(missing_key(column.options.key_space));
    }
    return std::nullopt;
  }
  if (!column.options.integer) {
    batch.ids.push_back(hash_bytes(cell, column.seed));
    return std::nullopt;
  }
  const std::optional<Key> key = parse_integer(cell);
  if (!key) {
    return fmt::format("column \"{}\": expected an integer of 64 bits: found \"{}\"",
                       column.options.name, cell);
  }
  batch.ids.push_back(*key);
  return std::nullopt;
}

std::optional<std::string> RecordParser::parse_ids(std::string_view cell, std::size_t c,
                                                   Batch& batch) const {
  const ColumnOptions& column = columns_[c].options;
  std::optional<std::string> problem;
  if (column.role == ColumnRole::id || is_missing(cell)) {
    problem = parse_id(cell, c, batch);
  } else {
    std::int64_t length = 0;
    std::size_t begin = 0;
    while (!problem && begin <= cell.size() &&
           (column.max_length == 0 || length < column.max_length)) {
      const std::size_t end = std::min(cell.find(column.list_separator, begin), cell.size());
      problem = parse_id(cell.substr(begin, end - begin), c, batch);
      begin = end + column.list_separator.size();
      ++length;
    }
  }
  batch.id_offsets.push_back(static_cast<std::int64_t>(batch.ids.size()));
  return problem;
}

std::optional<std::string> RecordParser::parse(std::string_view line, Batch& batch) {
  if (line.find('\0') != std::string_view::npos) {
    return "expected text: found a NUL byte, so a binary file";
  }
  if (!split(line)) {
    return "expected every quote to be closed: found an open one";
  }
  if (cells_.size() < least_cells_) {
    return fmt::format("expected at least {} cells: found {}", least_cells_, cells_.size());
  }
  const Mark mark(batch);
  if (batch.id_offsets.empty()) {
    batch.id_offsets.push_back(0);
  }
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const ColumnOptions& column = columns_[c].options;
    const std::string_view cell = cells_[columns_[c].cell];
    const std::optional<std::string> problem =
        column.role == ColumnRole::label || column.role == ColumnRole::weight
            ? parse_label(cell, column, batch)
        : column.role == ColumnRole::dense ? parse_dense(cell, column, batch)
                                           : parse_ids(cell, c, batch);
    if (problem) {
      mark.restore(batch);
      return problem;
    }
  }
  return std::nullopt;
}

}  // namespace keyshard
