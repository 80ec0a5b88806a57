// The records of several files, one after another and in one pass: for data without random access,
// such as a compressed file that is larger than the memory allowed. Opened again for every epoch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/text_index.hpp"
#include "io/text_window.hpp"

namespace keyshard {

class RecordSplit;

class TextStream {
 public:
  /// `files` and `split` are borrowed; records that are not in the split are passed over and not
  /// counted; null: all are in it.
  TextStream(Span<const TextFile> files, std::int64_t skip_lines, bool header,
             RecordSplit* split = nullptr);

  /// The next record, without its line end; false after the last. `text` is valid until the next
  /// call. Throws Error{bad_input} naming the file that cannot be opened or is damaged.
  bool next(std::string_view& text, TextPlace& place);

  /// The starts (TextStart, without offset) of the files that were opened so far.
  const std::vector<TextStart>& starts() const noexcept { return starts_; }

  /// Bytes of the open file that were read so far, unpacked.
  std::int64_t file_bytes() const noexcept { return file_bytes_; }

 private:
  bool next_line(std::string_view& text);
  void open_next();

  Span<const TextFile> files_;
  std::int64_t skip_lines_;
  bool header_;
  RecordSplit* split_;
  std::function<void(std::string&)> read_;  // replaces its argument by the next bytes of the file
  std::vector<TextStart> starts_;
  std::string buffer_;
  std::string piece_;
  std::size_t at_ = 0;  // in buffer_
  bool file_ended_ = true;
  std::int64_t file_bytes_ = 0;
  std::int64_t line_ = 0;
  std::int64_t record_ = 0;
  std::int64_t file_record_ = 0;  // the next one of the open file, of all its records
};

}  // namespace keyshard
