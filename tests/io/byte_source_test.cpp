// Byte sources: a file and memory give the same bytes, also at and beyond the end.
#include "io/byte_source.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

std::string read(const ByteSource& source, std::int64_t offset, std::int64_t bytes) {
  std::string out = "what was there before";
  source.read(offset, bytes, out);
  return out;
}

/// The kind and text of what `body` throws.
std::pair<Kind, std::string> thrown_by(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return {error.kind(), error.text()};
  }
  return {Kind::other_bits, "nothing"};
}

TEST(OpenFile, ThatKeepsNoDescriptorIsTheSameFileAtEveryRead) {
  const ScratchFolder folder;
  const std::string path = folder.write("a.csv", "abcdef");
  const auto bytes = open_file(path, Descriptor::per_read);
  EXPECT_EQ(read(*bytes, 2, 3), "cde");
  std::filesystem::rename(folder.write("b.csv", "uvwxyz"), path);
  const auto [kind, text] = thrown_by([&] { read(*bytes, 2, 3); });
  EXPECT_EQ(kind, Kind::io);
  EXPECT_EQ(folder.without_path(text),
            "a.csv: expected the file of the start: found another one in its place");
}

TEST(OpenFile, RefusesBytesThatWereWrittenOver) {
  for (const Descriptor descriptor : {Descriptor::kept, Descriptor::per_read}) {
    for (const auto& [other, found] : {std::pair("uvwxyz", "that it was written to"),
                                       {"uvwxyzgh", "a change, from 6 to 8 bytes"}}) {
      const ScratchFolder folder;
      const std::string path = folder.write("a.csv", "abcdef");
      const auto bytes = open_file(path, descriptor);
      EXPECT_EQ(read(*bytes, 2, 3), "cde");
      const auto time = std::filesystem::last_write_time(path);
      folder.write("a.csv", other);
      std::filesystem::last_write_time(path, time + std::chrono::seconds(1));
      const auto [kind, text] = thrown_by([&] { read(*bytes, 2, 3); });
      EXPECT_EQ(kind, Kind::io);
      EXPECT_EQ(
          folder.without_path(text),
          std::string("a.csv: expected a file that nobody writes to while it is read: found ") +
              found + "; name a file that is complete");
    }
  }
}

class ByteSources : public ::testing::TestWithParam<bool> {
 public:
  std::unique_ptr<ByteSource> source(const std::string& content) const {
    return GetParam() ? open_file(folder_.write("bytes", content))
                      : memory_source("bytes", content);
  }

 private:
  ScratchFolder folder_;
};

TEST_P(ByteSources, GiveTheBytesOfEveryPlace) {
  const std::string content("ab\0cdefg", 8);
  const auto bytes = source(content);
  ASSERT_EQ(bytes->size(), 8);
  for (std::int64_t offset = 0; offset <= 8; ++offset) {
    for (std::int64_t size = 0; size <= 10; ++size) {
      EXPECT_EQ(read(*bytes, offset, size),
                content.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(size)))
          << size << " from " << offset;
    }
  }
}

TEST_P(ByteSources, GiveNothingBeyondTheirEnd) {
  const auto bytes = source("abc");

  EXPECT_EQ(read(*bytes, 3, 5), "");
  EXPECT_EQ(read(*bytes, 100, 5), "");
  EXPECT_EQ(read(*bytes, 2, std::int64_t{1} << 40), "c");
}

TEST_P(ByteSources, MayBeEmpty) {
  const auto bytes = source("");

  EXPECT_EQ(bytes->size(), 0);
  EXPECT_EQ(read(*bytes, 0, 1), "");
}

INSTANTIATE_TEST_SUITE_P(FileAndMemory, ByteSources, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "File" : "Memory"; });

TEST(ByteSource, IsNamedByItsPathOrAsItsMakerSays) {
  const ScratchFolder folder;
  const std::string path = folder.write("a.tsv", "x");

  EXPECT_EQ(open_file(path)->name(), path);
  EXPECT_EQ(memory_source("a.tar!b", "x")->name(), "a.tar!b");
}

TEST(OpenFile, RefusesWhatIsNotThereWithPathAndReason) {
  const ScratchFolder folder;
  const auto [kind, text] = thrown_by([&] { open_file(folder.path("none")); });

  EXPECT_EQ(kind, Kind::bad_input);
  EXPECT_EQ(folder.without_path(text), "none: expected a readable file: No such file or directory");
}

TEST(OpenFile, RefusesAFolder) {
  const ScratchFolder folder;
  const auto [kind, text] = thrown_by([&] { open_file(folder.path("")); });

  EXPECT_EQ(kind, Kind::bad_input);
  EXPECT_NE(text.find("expected a regular file"), std::string::npos) << text;
}

TEST(OpenFile, SaysWhenTheFileBecomesShorterWhileItIsRead) {
  const ScratchFolder folder;
  const std::string path = folder.write("shrinking", std::string(100, 'x'));
  const auto bytes = open_file(path);
  std::filesystem::resize_file(path, 40);
  const auto [kind, text] = thrown_by([&] { read(*bytes, 0, 100); });

  EXPECT_EQ(kind, Kind::io);
  EXPECT_EQ(folder.without_path(text),
            "shrinking: expected 100 bytes: the file became shorter while it was read, to 40");
}

TEST(OpenFile, SeesNothingOfWhatIsAddedLater) {
  const ScratchFolder folder;
  const auto bytes = open_file(folder.write("growing", "abc"));
  folder.write("growing", "abcdef");

  EXPECT_EQ(bytes->size(), 3);
  EXPECT_EQ(read(*bytes, 0, 10), "abc");
}

}  // namespace
}  // namespace keyshard
