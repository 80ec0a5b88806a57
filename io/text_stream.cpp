#include "io/text_stream.hpp"

#include "io/archive_file.hpp"
#include "io/byte_source.hpp"
#include "io/first_bytes.hpp"
#include "io/record_split.hpp"
#include "io/text_record.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kPiece = std::int64_t{1} << 20;

std::function<void(std::string&)> open_bytes(const TextFile& file) {
  if (!file.bytes && is_archive(file.path)) {
    return [archive = std::make_shared<ArchiveStream>(file.path), name = file.path,
            begun = false](std::string& out) mutable {
      archive->read(kPiece, out);
      if (!begun) {
        begun = true;
        const auto first = std::string_view(out).substr(0, static_cast<std::size_t>(kFirstBytes));
        out.erase(0, static_cast<std::size_t>(check_first_bytes(first, name)));
      }
    };
  }
  std::shared_ptr<const ByteSource> source;
  if (file.bytes) {
    source = std::shared_ptr<const ByteSource>(std::shared_ptr<void>(), file.bytes.get());
  } else {
    source = text_of(open_file(file.path));
  }
  return [source, at = std::int64_t{0}](std::string& out) mutable {
    source->read(at, kPiece, out);
    at += static_cast<std::int64_t>(out.size());
  };
}

}  // namespace

TextStream::TextStream(Span<const TextFile> files, std::int64_t skip_lines, bool header,
                       RecordSplit* split)
    : files_(files), skip_lines_(skip_lines), header_(header), split_(split) {}

bool TextStream::next_line(std::string_view& text) {
  // A line is whole when the end of the line was read, or the end of the file.
  for (std::size_t from = at_; !file_ended_ && buffer_.find('\n', from) == std::string::npos;) {
    read_(piece_);
    file_ended_ = piece_.empty();
    file_bytes_ += static_cast<std::int64_t>(piece_.size());
    buffer_.erase(0, at_);
    from = buffer_.size();  // what comes before has no end of a line
    buffer_ += piece_;
    at_ = 0;
  }
  if (at_ == buffer_.size()) {
    return false;
  }
  const TextLine line = line_at(buffer_, at_);
  text = line.text;
  at_ = line.next;
  ++line_;
  return true;
}

void TextStream::open_next() {
  read_ = open_bytes(files_[starts_.size()]);
  buffer_.clear();
  at_ = 0;
  line_ = 0;
  file_bytes_ = 0;
  file_record_ = 0;
  file_ended_ = false;
  TextStart start;
  std::string_view text;
  const std::int64_t lines = skip_lines_ + (header_ ? 1 : 0);
  while (line_ < lines && next_line(text)) {
  }
  start.header = header_ && line_ == lines ? std::string(text) : std::string();
  start.header_line = line_;
  start.line = line_ + 1;
  starts_.push_back(std::move(start));
}

bool TextStream::next(std::string_view& text, TextPlace& place) {
  for (;;) {
    while (next_line(text)) {
      const std::int64_t file = static_cast<std::int64_t>(starts_.size()) - 1;
      if (!text.empty() && (split_ == nullptr || split_->has(file, file_record_++, text))) {
        place = {record_++, file, line_};
        return true;
      }
    }
    if (static_cast<std::int64_t>(starts_.size()) == files_.size()) {
      return false;
    }
    open_next();
  }
}

}  // namespace keyshard
