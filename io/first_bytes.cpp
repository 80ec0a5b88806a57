#include "io/first_bytes.hpp"

#include <algorithm>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::size_t at;
  std::string_view bytes;
  const char* kind;
  const char* way_out;
};

constexpr const char* kToText = "write it as delimited text (CSV)";
constexpr const char* kToUtf8 = "write it as UTF-8, for example by `iconv -f UTF-16 -t UTF-8`";
constexpr const char* kNameEntry = "name an entry: ARCHIVE!ENTRY";
constexpr const char* kNameZipEntry =
    "name an entry: ARCHIVE!ENTRY, or write the sheet as delimited text (CSV)";

// The longer of two signatures that begin alike stands first.
constexpr Signature kSignatures[] = {
    {0, "PAR1"sv, "a Parquet file", kToText},
    {0, "PARE"sv, "a Parquet file", kToText},
    {0, "\x89HDF\r\n\x1A\n"sv, "an HDF5 file",
     "set data.format = \"packed\" if `keyshard convert` made it; else write it as delimited text"},
    {0, "\x1F\x8B"sv, "a gzip file", "let its name end in .gz"},
    {0,
     "\xFD"
     "7zXZ\0"sv,
     "an xz file", "let its name end in .xz"},
    {0, "\x28\xB5\x2F\xFD"sv, "a zstd file", "let its name end in .zst"},
    {0, "BZh"sv, "a bzip2 file", "let its name end in .bz2"},
    {0, "\x04\x22\x4D\x18"sv, "an lz4 file", "unpack it"},
    {0, "PK\x03\x04"sv, "a zip archive or an Excel workbook", kNameZipEntry},
    {0, "PK\x05\x06"sv, "a zip archive or an Excel workbook", kNameZipEntry},
    {0, "7z\xBC\xAF\x27\x1C"sv, "a 7-Zip archive", "unpack it"},
    {0, "Rar!\x1A\x07"sv, "a RAR archive", "unpack it"},
    {257, "ustar"sv, "a tar archive", kNameEntry},
    {0, "\xFF\xFE\0\0"sv, "UTF-32 text",
     "write it as UTF-8, for example by `iconv -f UTF-32 -t UTF-8`"},
    {0, "\0\0\xFE\xFF"sv, "UTF-32 text",
     "write it as UTF-8, for example by `iconv -f UTF-32 -t UTF-8`"},
    {0, "\xFF\xFE"sv, "UTF-16 text", kToUtf8},
    {0, "\xFE\xFF"sv, "UTF-16 text", kToUtf8},
    {0, "ORC"sv, "an ORC file", kToText},
    {0, "ARROW1"sv, "an Arrow file", kToText},
    {0, "Obj\x01"sv, "an Avro file", kToText},
    {0, "\x93NUMPY"sv, "a NumPy file", kToText},
    {0, "SQLite format 3\0"sv, "an SQLite database", kToText},
    {0, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"sv, "an old Excel workbook", kToText},
    {0, "%PDF-"sv, "a PDF file", kToText},
    {0, "version https://git-lfs.github.com/spec/"sv, "a pointer of Git LFS",
     "fetch the file by `git lfs pull`"},
};

bool fits(const Signature& signature, std::string_view first) {
  if (first.size() < signature.at || !first.substr(signature.at).starts_with(signature.bytes)) {
    return false;
  }
  // Text may begin with these letters, so what follows them is looked at as well.
  const std::string_view rest = first.substr(signature.at + signature.bytes.size());
  if (signature.bytes == "BZh") {
    return rest.size() > 6 && rest.substr(1).starts_with("1AY&SY");
  }
  const bool letters = std::all_of(signature.bytes.begin(), signature.bytes.end(),
                                   [](char c) { return c >= ' ' && c < '\x7F'; });
  return !letters || signature.at > 0 || signature.bytes.size() > 4 ||
         std::any_of(
             rest.begin(), rest.begin() + std::min<std::ptrdiff_t>(std::ssize(rest), 64),
             [](char c) { return c >= '\0' && c < ' ' && c != '\n' && c != '\r' && c != '\t'; });
}

/// Whether every second byte is NUL, as in UTF-16 text of Western letters without a mark.
bool is_utf16(std::string_view first) {
  const std::size_t size = std::min<std::size_t>(first.size(), 64) / 2 * 2;
  std::size_t even = 0, odd = 0;
  for (std::size_t i = 0; i < size; i += 2) {
    even += first[i] == '\0';
    odd += first[i + 1] == '\0';
  }
  return size >= 4 && ((even == size / 2 && odd == 0) || (odd == size / 2 && even == 0));
}

/// Whether lines end in CR alone, as far as the bytes tell.
bool ends_lines_in_cr(std::string_view first) {
  const std::size_t cr = first.find('\r');
  return cr != std::string_view::npos && cr + 1 < first.size() &&
         first.find('\n') == std::string_view::npos;
}

class BehindMark final : public ByteSource {
 public:
  explicit BehindMark(std::unique_ptr<ByteSource> whole) : whole_(std::move(whole)) {}

  const std::string& name() const override { return whole_->name(); }

  std::int64_t size() const override { return whole_->size() - std::ssize(kByteOrderMark); }

  void read(std::int64_t offset, std::int64_t bytes, std::string& out) const override {
    whole_->read(offset + std::ssize(kByteOrderMark), bytes, out);
  }

 private:
  std::unique_ptr<ByteSource> whole_;
};

}  // namespace

std::int64_t check_first_bytes(std::string_view first, const std::string& name) {
  for (const Signature& signature : kSignatures) {
    require(!fits(signature, first), Kind::bad_input, "{}: expected text: found {}; {}", name,
            signature.kind, signature.way_out);
  }
  require(!is_utf16(first), Kind::bad_input, "{}: expected text: found UTF-16 text; {}", name,
          kToUtf8);
  require(!ends_lines_in_cr(first), Kind::bad_input,
          "{}: expected lines that end in LF or CR LF: found lines that end in CR alone; rewrite "
          "them, for example by `tr '\\r' '\\n'`",
          name);
  return first.starts_with(kByteOrderMark) ? std::ssize(kByteOrderMark) : 0;
}

std::unique_ptr<ByteSource> text_of(std::unique_ptr<ByteSource> source) {
  std::string first;
  source->read(0, kFirstBytes, first);
  if (check_first_bytes(first, source->name()) == 0) {
    return source;
  }
  return std::make_unique<BehindMark>(std::move(source));
}

std::unique_ptr<ByteSource> text_in_memory(const std::string& name, std::string bytes) {
  const auto first = std::string_view(bytes).substr(0, static_cast<std::size_t>(kFirstBytes));
  bytes.erase(0, static_cast<std::size_t>(check_first_bytes(first, name)));
  return memory_source(name, std::move(bytes));
}

}  // namespace keyshard
