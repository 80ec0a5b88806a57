// The first bytes of files that are text, and of files that are none.
#include "io/first_bytes.hpp"

#include <gtest/gtest.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

using namespace std::string_literals;

std::string complaint_of(const std::string& first) {
  try {
    check_first_bytes(first, "a.csv");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::bad_input);
    return error.text();
  }
  return "";
}

TEST(FirstBytes, OfEveryFileThatIsNoTextAreNamed) {
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  const std::vector<std::pair<std::string, std::string>> files{
      {"PAR1\x15\x04"s, "a Parquet file"},
      {"\x89HDF\r\n\x1a\n"s, "an HDF5 file"},
      {"\x1f\x8b\x08\0"s, "a gzip file; let its name end in .gz"},
      {"\xfd"
       "7zXZ\0"s,
       "an xz file; let its name end in .xz"},
      {"\x28\xb5\x2f\xfd"s, "a zstd file; let its name end in .zst"},
      {"BZh91AY&SYxx"s, "a bzip2 file; let its name end in .bz2"},
      {"PK\x03\x04\x14"s, "a zip archive or an Excel workbook; name an entry: ARCHIVE!ENTRY"},
      {tar, "a tar archive; name an entry: ARCHIVE!ENTRY"},
      {"\xff\xfe"
       "a\0"s,
       "UTF-16 text"},
      {"\xfe\xff\0a"s, "UTF-16 text"},
      {"a\0,\0b\0\n\0"s, "UTF-16 text"},
      {"\0a\0,\0b\0\n"s, "UTF-16 text"},
      {"\xff\xfe\0\0a\0\0\0"s, "UTF-32 text"},
      {"SQLite format 3\0"s, "an SQLite database"},
      {"y,c\r1,2\r3,4\r"s, "lines that end in CR alone"}};
  for (const auto& [first, kind] : files) {
    EXPECT_NE(complaint_of(first).find("found " + kind), std::string::npos)
        << kind << ": " << complaint_of(first);
    EXPECT_EQ(complaint_of(first).find("a.csv: expected "), 0u);
  }
}

TEST(FirstBytes, OfTextAreTaken) {
  for (const std::string& first :
       {""s, "a"s, "y,c\n1,2\n"s, "y,c\r\n1,2\r\n"s, "PAR1,PK\n1,2\n"s, "BZh,x\n"s, "ORC\n1\n"s,
        "1\r"s, "a\rb\n"s, "1,\0x\n"s, "\xff\n"s, "\xc3\xa4,\xe7\x94\xa8\n"s}) {
    EXPECT_EQ(complaint_of(first), "") << first;
  }
}

TEST(FirstBytes, MayBeAByteOrderMarkThatIsDropped) {
  EXPECT_EQ(check_first_bytes("\xEF\xBB\xBFy,c\n", "a"), 3);
  EXPECT_EQ(check_first_bytes("y,c\n", "a"), 0);
  const auto text = text_in_memory("a", "\xEF\xBB\xBFy,c\n");
  EXPECT_EQ(text->size(), 4);
  const auto same = text_of(memory_source("a", "\xEF\xBB\xBFy,c\n"));
  std::string bytes;
  same->read(1, 2, bytes);
  EXPECT_EQ(bytes, ",c");
  EXPECT_EQ(same->size(), 4);
  same->read(0, 99, bytes);
  EXPECT_EQ(bytes, "y,c\n");
}

}  // namespace
}  // namespace keyshard
