#include "io/numpy_array.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/short_floats.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr std::int64_t kMostHeader = 1 << 16;

/// The header: a literal of a dictionary in Python with three keys.
class Header {
 public:
  Header(std::string_view text, const std::string& path) : text_(text), path_(path) {
    expect('{');
    while (!takes('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr") {
        descr = quoted();
      } else if (key == "fortran_order") {
        fortran_order = flag();
      } else if (key == "shape") {
        shape = numbers();
      } else {
        refuse("the keys descr, fortran_order and shape");
      }
      if (!takes(',')) {
        expect('}');
        break;
      }
    }
    require(descr && fortran_order && shape, Kind::bad_input,
            "{}: expected descr, fortran_order and shape in the header: found \"{}\"", path_,
            shown(text_));
  }

  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::int64_t>> shape;

 private:
  [[noreturn]] void refuse(const char* expected) const {
    fail(Kind::bad_input, "{}: expected {} in the header: found \"{}\"", path_, expected,
         shown(text_.substr(std::min(at_, text_.size()))));
  }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) {
      ++at_;
    }
  }

  bool takes(char c) {
    skip_blanks();
    const bool found = at_ < text_.size() && text_[at_] == c;
    at_ += found ? 1 : 0;
    return found;
  }

  void expect(char c) {
    if (!takes(c)) {
      refuse(fmt::format("\"{}\"", c).c_str());
    }
  }

  std::string quoted() {
    skip_blanks();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    const std::size_t end =
        quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : std::string_view::npos;
    if (end == std::string_view::npos) {
      refuse("a name in quotes (a type of several fields is not read)");
    }
    const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return std::string(name);
  }

  bool flag() {
    skip_blanks();
    for (const auto& [word, value] :
         {std::pair(std::string_view("True"), true), {"False", false}}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    refuse("True or False");
  }

  std::vector<std::int64_t> numbers() {
    std::vector<std::int64_t> found;
    expect('(');
    while (!takes(')')) {
      skip_blanks();
      std::int64_t number = -1;
      const char* const last = text_.data() + text_.size();
      const auto [end, error] =
          std::from_chars(text_.data() + std::min(at_, text_.size()), last, number);
      if (error != std::errc() || number < 0) {
        refuse("a shape");
      }
      found.push_back(number);
      at_ = static_cast<std::size_t>(end - text_.data());
      if (!takes(',')) {
        expect(')');
        break;
      }
    }
    return found;
  }

  std::string_view text_;
  const std::string& path_;
  std::size_t at_ = 0;
};

/// Bytes of a number of a type that is read; 0 for another type.
std::int64_t bytes_of_type(const std::string& type) {
  static const std::pair<const char*, std::int64_t> kTypes[] = {{"<i4", 4}, {"<i8", 8}, {"<u8", 8},
                                                                {"<f2", 2}, {"<f4", 4}, {"<f8", 8}};
  for (const auto& [name, bytes] : kTypes) {
    if (type == name) {
      return bytes;
    }
  }
  return 0;
}

template <class T, class Out>
void convert(const std::string& bytes, std::int64_t n, Out* out) {
  for (std::int64_t i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
    out[i] = static_cast<Out>(value);
  }
}

/// The header's text, and where the numbers begin. Throws where the file is none of numpy's.
std::pair<std::string, std::int64_t> header_of(const ByteSource& source) {
  std::string start;
  source.read(0, 12, start);
  require(start.size() >= 10 && start.starts_with(kMagic), Kind::bad_input,
          "{}: expected a file of numpy, which begins with \\x93NUMPY: found \"{}\"", source.name(),
          shown(start.substr(0, kMagic.size())));
  const auto byte = [&](std::size_t i) {
    return std::int64_t{static_cast<unsigned char>(start[i])};
  };
  const std::int64_t version = byte(6);
  require(version == 1 || version == 2, Kind::bad_input,
          "{}: expected version 1 or 2 of numpy's format: found {}", source.name(), version);
  const std::int64_t first = version == 1 ? 10 : 12;
  std::int64_t size = byte(8) + 256 * byte(9);
  if (version == 2 && start.size() == 12) {
    size += 65536 * (byte(10) + 256 * byte(11));
  }
  require(size <= kMostHeader && first + size <= source.size(), Kind::bad_input,
          "{}: expected a header of at most {} bytes inside the file: found {} bytes of {}",
          source.name(), kMostHeader, size, source.size());
  std::string text;
  source.read(first, size, text);
  return {text, first + size};
}

}  // namespace

NumpyArray::NumpyArray(const std::string& path) : source_(open_file(path)) {
  const auto [text, begin] = header_of(*source_);
  const Header header(text, path);
  begin_ = begin;
  type_ = *header.descr;
  shape_ = *header.shape;
  item_bytes_ = bytes_of_type(type_);
  require(item_bytes_ > 0, Kind::bad_input,
          "{}: expected numbers of type <i4, <i8, <u8, <f2, <f4 or <f8 (little-endian): found "
          "\"{}\"",
          path, shown(type_));
  require(!*header.fortran_order || shape_.size() < 2, Kind::bad_input,
          "{}: expected an array in C order: found fortran_order = True; "
          "numpy.ascontiguousarray makes one",
          path);
  std::int64_t numbers = 1;
  for (const std::int64_t n : shape_) {
    require(n == 0 || numbers <= source_->size() / n, Kind::bad_input,
            "{}: expected a shape that the file has room for: found [{}] and {} bytes", path,
            joined(shape_, ", "), source_->size());
    numbers *= n;
  }
  require(source_->size() - begin_ == numbers * item_bytes_, Kind::bad_input,
          "{}: expected {} bytes for the shape [{}] of {}: found {}", path, numbers * item_bytes_,
          joined(shape_, ", "), type_, source_->size() - begin_);
}

std::string NumpyArray::bytes_of(std::int64_t first, std::int64_t n) const {
  std::string bytes;
  source_->read(begin_ + first * item_bytes_, n * item_bytes_, bytes);
  require(std::ssize(bytes) == n * item_bytes_, Kind::bad_input,
          "{}: expected {} bytes: found {}; the file changed while it was read", path(),
          n * item_bytes_, bytes.size());
  return bytes;
}

void NumpyArray::read_keys(std::int64_t first, std::int64_t n, Key* out) const {
  const std::string bytes = bytes_of(first, n);
  if (type_ == "<i8") {
    convert<std::int64_t>(bytes, n, out);
  } else if (type_ == "<u8") {
    convert<std::uint64_t>(bytes, n, out);
  } else {
    require(type_ == "<i4", Kind::bad_input, "{}: expected keys of type <i8, <u8 or <i4: found {}",
            path(), type_);
    convert<std::int32_t>(bytes, n, out);
  }
}

template <class T>
void NumpyArray::read_numbers(std::int64_t first, std::int64_t n, T* out) const {
  const std::string bytes = bytes_of(first, n);
  if (type_ == "<f4") {
    convert<float>(bytes, n, out);
  } else if (type_ == "<f8") {
    convert<double>(bytes, n, out);
  } else {
    require(type_ == "<f2", Kind::bad_input,
            "{}: expected values of type <f4, <f8 or <f2: found {}", path(), type_);
    for (std::int64_t i = 0; i < n; ++i) {
      std::uint16_t half;
      std::memcpy(&half, bytes.data() + 2 * i, sizeof(half));
      out[i] = Float16::widen(half);
    }
  }
}

template void NumpyArray::read_numbers(std::int64_t, std::int64_t, float*) const;
template void NumpyArray::read_numbers(std::int64_t, std::int64_t, double*) const;

}  // namespace keyshard
