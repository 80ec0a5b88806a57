// A window of text records, in the order in which they are read, and the parser that turns them
// into samples. Lines that do not parse are counted and leave holes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/batch.hpp"
#include "io/data_options.hpp"
#include "io/data_reader.hpp"
#include "io/text_index.hpp"
#include "io/text_record.hpp"

namespace keyshard {

/// Where a record stands.
struct TextPlace {
  std::int64_t record = 0;  ///< in input order
  std::int64_t file = 0;
  std::int64_t line = 0;  ///< of the file, from 1
};

class TextWindow {
 public:
  /// The number of the window in its slice or stream; -1: none was loaded.
  std::int64_t number() const noexcept { return number_; }

  /// Becomes an empty window with that number; memory is kept.
  void begin(std::int64_t number);
  void add(std::string_view text, const TextPlace& place);

  /// Makes number order[i] of the records that were added the i-th record of the window.
  void set_order(std::vector<std::uint32_t> order) { order_ = std::move(order); }

  std::int64_t size() const noexcept { return static_cast<std::int64_t>(places_.size()); }

  std::string_view text(std::int64_t i) const;

  /// Asks the processor for the text of the i-th record, if there is one, ahead of its use.
  void prefetch(std::int64_t i) const;

  const TextPlace& place(std::int64_t i) const {
    return places_[order_[static_cast<std::size_t>(i)]];
  }

 private:
  std::int64_t number_ = -1;
  std::string bytes_;
  std::vector<std::size_t> ends_;  // of each record in bytes_
  std::vector<TextPlace> places_;
  std::vector<std::uint32_t> order_;
};

class WindowParser {
 public:
  /// `names` and `starts` are those of the files; files without records need no header. Files with
  /// equal headers share a parser. Without a header, records of all files have as many cells as the
  /// first one. Throws Error{bad_input} where a header lacks a column, and where every column has
  /// an index and two headers differ.
  WindowParser(const DataOptions& options, std::vector<std::string> names,
               const std::vector<TextStart>& starts);

  /// Adds the i-th record of a window to a batch, as sample number `sample`, or counts it as bad.
  void add(const TextWindow& window, std::int64_t i, std::int64_t sample, Batch& batch);

 private:
  std::vector<std::string> names_;
  std::vector<RecordParser> parsers_;
  std::vector<std::size_t> parser_of_;  // of each file
};

}  // namespace keyshard
