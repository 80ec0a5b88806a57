#include "io/vector_source.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "collectives/vote.hpp"
#include "io/first_bytes.hpp"
#include "io/numpy_array.hpp"
#include "io/text_number.hpp"
#include "io/text_record.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/runs.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kReadBytes = std::int64_t{1} << 20;

/// The words of a line, between blanks and tabs.
class Words {
 public:
  explicit Words(std::string_view line) : line_(line) {}

  /// Empty after the last.
  std::string_view next() {
    const std::size_t begin = std::min(line_.find_first_not_of(" \t"), line_.size());
    const std::size_t end = std::min(line_.find_first_of(" \t", begin), line_.size());
    const std::string_view word = line_.substr(begin, end - begin);
    line_.remove_prefix(end);
    return word;
  }

 private:
  std::string_view line_;
};

const char* number_type(const VectorFormat& format) {
  return format.doubles ? "float64" : "float32";
}

/// Line ends in a range of bytes.
std::int64_t count_lines(const ByteSource& source, Range bytes, Progress& progress) {
  std::int64_t lines = 0;
  std::string piece;
  for (std::int64_t at = bytes.begin; at < bytes.end; at += kReadBytes) {
    source.read(at, std::min(kReadBytes, bytes.end - at), piece);
    lines += std::count(piece.begin(), piece.end(), '\n');
    progress.advance();
  }
  return lines;
}

class TextVectors final : public VectorSource {
 public:
  /// `lines_before` end before the range.
  TextVectors(std::unique_ptr<ByteSource> source, const VectorFormat& format, Range bytes,
              std::int64_t lines_before)
      : source_(std::move(source)),
        format_(format),
        keys_(format.table, format.hash),
        end_(bytes.end),
        offset_(bytes.begin),
        line_(lines_before) {
    if (bytes.begin > 0) {  // the line that begins before the range belongs to the range before
      offset_ = bytes.begin - 1;
      take_line();
      line_ = lines_before + (begin_of_next() > bytes.begin ? 1 : 0);
    }
  }

  bool next(VectorPiece& piece) override {
    piece = {};
    const std::int64_t most = piece_size(format_.width);
    while (std::ssize(piece.keys) < most && begin_of_next() < std::min(end_, source_->size())) {
      const std::string_view text = take_line();
      ++line_;
      add(text, piece);
    }
    return !piece.keys.empty();
  }

  std::string place(std::int64_t number) const override {
    return fmt::format("{}:{}", source_->name(), number);
  }

 private:
  std::int64_t begin_of_next() const { return offset_ + static_cast<std::int64_t>(at_); }

  /// The line at `at_`, which moves behind it.
  std::string_view take_line() {
    std::size_t from = at_;
    while (buffer_.find('\n', from) == std::string::npos) {
      const std::int64_t have = offset_ + std::ssize(buffer_);
      if (have >= source_->size()) {
        break;
      }
      from = buffer_.size() - at_;
      source_->read(have, kReadBytes, read_);
      buffer_.erase(0, at_);
      offset_ += static_cast<std::int64_t>(at_);
      at_ = 0;
      buffer_ += read_;
    }
    const TextLine line = line_at(buffer_, at_);
    at_ = line.next;
    return line.text;
  }

  void add(std::string_view text, VectorPiece& piece) {
    Words words(text);
    const std::string_view key = words.next();
    if (key.empty()) {
      return;
    }
    piece.keys.push_back(key_of(key));
    piece.places.push_back(line_);
    std::int64_t numbers = 0;
    for (std::string_view word = words.next(); !word.empty(); word = words.next(), ++numbers) {
      const std::optional<double> number = parse_number(word);
      const double value = number.value_or(0);
      require(number && (format_.doubles || std::isfinite(static_cast<float>(value))),
              Kind::bad_input, "{}: expected numbers that are finite as {}: found \"{}\"",
              place(line_), number_type(format_), shown(word));
      add_number(value, format_.doubles, piece.values);
    }
    require(numbers == format_.width, Kind::bad_input,
            "{}: expected a key and {} numbers, the dim of table {}: found {} numbers{}",
            place(line_), format_.width, format_.table, numbers,
            line_ == 1 && numbers == 1 ? "; a first line with counts is to be taken out" : "");
  }

  Key key_of(std::string_view word) const {
    if (format_.strings) {
      return keys_(word);
    }
    const std::optional<Key> key = parse_integer(word);
    require(key.has_value(), Kind::bad_input,
            "{}: expected an integer of 64 bits as the key, for the ids of table {} are integers: "
            "found \"{}\"",
            place(line_), format_.table, shown(word));
    return *key;
  }

  std::unique_ptr<ByteSource> source_;
  VectorFormat format_;
  TextKeys keys_;        // of strings
  std::int64_t end_;     // lines that begin there or later are those of another rank
  std::int64_t offset_;  // of the buffer
  std::int64_t line_;    // lines that were taken, and those before
  std::string buffer_, read_;
  std::size_t at_ = 0;  // in the buffer
};

class NumpyVectors final : public VectorSource {
 public:
  NumpyVectors(const std::string& folder, const VectorFormat& format)
      : keys_(folder + "/keys.npy"), values_(folder + "/values.npy"), format_(format) {
    require(keys_.shape().size() == 1, Kind::bad_input,
            "{}: expected an array of one axis: found the shape [{}]", keys_.path(),
            joined(keys_.shape(), ", "));
    const std::vector<std::int64_t> expected{keys_.shape()[0], format.width};
    require(values_.shape() == expected, Kind::bad_input,
            "{}: expected the shape [{}], for the keys and the dim of table {}: found [{}]",
            values_.path(), joined(expected, ", "), format.table, joined(values_.shape(), ", "));
    keys_.read_keys(0, 0, nullptr);  // refuses types that are none of keys and values
    values_.read_numbers<float>(0, 0, nullptr);
  }

  void take(std::int64_t rank, std::int64_t ranks) {
    rows_ = run_of(rank, ranks, keys_.shape()[0]);
  }

  bool next(VectorPiece& piece) override {
    const std::int64_t n = std::min(piece_size(format_.width), rows_.size());
    piece.keys.resize(static_cast<std::size_t>(n));
    piece.places.resize(piece.keys.size());
    if (n == 0) {
      piece.values.clear();
      return false;
    }
    keys_.read_keys(rows_.begin, n, piece.keys.data());
    if (format_.doubles) {
      read_values<double>(n, piece);
    } else {
      read_values<float>(n, piece);
    }
    for (std::size_t i = 0; i < piece.keys.size(); ++i) {
      piece.places[i] = rows_.begin + static_cast<std::int64_t>(i);
    }
    rows_.begin += n;
    return true;
  }

  std::string place(std::int64_t number) const override {
    return fmt::format("{}[{}]", keys_.path(), number);
  }

 private:
  /// Reads the numbers of the next n vectors, of type T.
  template <class T>
  void read_values(std::int64_t n, VectorPiece& piece) const {
    std::vector<T> numbers(static_cast<std::size_t>(n * format_.width));
    values_.read_numbers(rows_.begin * format_.width, std::ssize(numbers), numbers.data());
    const auto bad =
        std::find_if(numbers.begin(), numbers.end(), [](T x) { return !std::isfinite(x); });
    require(bad == numbers.end(), Kind::bad_input,
            "{}[{}]: expected numbers that are finite as {}: found another one", values_.path(),
            rows_.begin + (bad - numbers.begin()) / format_.width, number_type(format_));
    piece.values.resize(numbers.size() * sizeof(T) / sizeof(float));
    std::memcpy(piece.values.data(), numbers.data(), numbers.size() * sizeof(T));
  }

  NumpyArray keys_, values_;
  VectorFormat format_;
  Range rows_{0, 0};
};

}  // namespace

std::unique_ptr<VectorSource> text_vectors(const std::string& path, const VectorFormat& format,
                                           Communicator<Cpu>& communicator) {
  std::unique_ptr<ByteSource> source;
  Range part{0, 0};
  std::int64_t lines = 0;
  vote(communicator, [&] {
    source = text_of(open_file(path));
    part = run_of(communicator.rank(), communicator.size(), source->size());
    lines = count_lines(*source, part, communicator.progress());
  });
  const std::vector<std::int64_t> all = communicator.gather_values(lines);
  std::int64_t before = 0;
  for (int rank = 0; rank < communicator.rank(); ++rank) {
    before += all[static_cast<std::size_t>(rank)];
  }
  std::unique_ptr<VectorSource> vectors;
  vote(communicator,
       [&] { vectors = std::make_unique<TextVectors>(std::move(source), format, part, before); });
  return vectors;
}

std::unique_ptr<VectorSource> numpy_vectors(const std::string& folder, const VectorFormat& format,
                                            Communicator<Cpu>& communicator) {
  std::unique_ptr<NumpyVectors> vectors;
  vote(communicator, [&] {
    vectors = std::make_unique<NumpyVectors>(folder, format);
    vectors->take(communicator.rank(), communicator.size());
  });
  return vectors;
}

}  // namespace keyshard
