// The bytes of compressed files and of entries of archives, in pieces and whole; and the messages
// about files that cannot be read. Programs of the system make the files.
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/archive_file.hpp"
#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

/// Text that does not compress to nothing.
std::string some_text() {
  std::string text;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    text += fmt::format("{} {}\n", i, i * i * 7919 % 104'729);
  }
  return text;
}

bool run(const std::string& command) {
  return std::system((command + " 2>/dev/null").c_str()) == 0;
}

std::string read_all(const std::string& path, std::int64_t piece_bytes) {
  ArchiveStream stream(path);
  std::string all, piece = "what was there before";
  for (;;) {
    stream.read(piece_bytes, piece);
    EXPECT_LE(static_cast<std::int64_t>(piece.size()), piece_bytes);
    if (piece.empty()) {
      return all;
    }
    all += piece;
  }
}

/// The error of reading a path, without the names of folders; empty: none.
std::string complaint(const ScratchFolder& folder, const std::string& path) {
  try {
    read_all(path, 1 << 20);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::bad_input) << error.text();
    return folder.without_path(error.text());
  }
  return "";
}

TEST(IsArchive, KnowsEndingsAndEntries) {
  for (const char* path : {"a.gz", "a.xz", "a.zst", "a.bz2", "a.tar", "a.tgz", "a.txz", "a.zip",
                           "folder/a.tsv.gz", "a.tar!b", "a!b", "!"}) {
    EXPECT_TRUE(is_archive(path)) << path;
  }
  for (const char* path :
       {"", "a", "a.csv", "agz", "a.gz.csv", "a.GZ", "a.tar.csv", "folder.gz/a"}) {
    EXPECT_FALSE(is_archive(path)) << path;
  }
}

TEST(ArchivePath, TakesAFileThatExistsForThatFile) {
  const ScratchFolder folder;
  const std::string plain = folder.write("wow!.csv", "1\n");
  EXPECT_FALSE(is_archive(plain));
  EXPECT_EQ(archive_path(plain).file, plain);
  EXPECT_EQ(archive_path(plain).entry, "");
  std::filesystem::create_directories(folder.path("d!"));
  const std::string archive = folder.write("d!/a.tar", "");
  EXPECT_EQ(archive_path(archive + "!b!c").file, archive);
  EXPECT_EQ(archive_path(archive + "!b!c").entry, "b!c");
  EXPECT_FALSE(is_archive(folder.write("d!/a.csv", "")));
  EXPECT_TRUE(is_archive(folder.write("d!/a.csv.gz", "")));
}

TEST(ArchiveStream, GivesTheSameBytesInPiecesOfAnySize) {
  const ScratchFolder folder;
  const std::string text = some_text();
  const std::string path = folder.write("a.txt", text);
  if (!run("gzip '" + path + "'")) {
    GTEST_SKIP() << "no program gzip";
  }
  for (const std::int64_t bytes : {1'000, 4'096, 65'537, 1 << 24}) {
    EXPECT_EQ(read_all(path + ".gz", bytes), text) << bytes;
  }
}

TEST(ArchiveStream, OfAFileThatIsNotCompressedGivesItAsItIs) {
  const ScratchFolder folder;
  EXPECT_EQ(read_all(folder.write("plain.gz", "text\n"), 3), "text\n");
}

TEST(ArchiveStream, OfAnEmptyFileIsEmpty) {
  const ScratchFolder folder;
  const std::string path = folder.write("a", "");
  if (!run("gzip '" + path + "'")) {
    GTEST_SKIP() << "no program gzip";
  }
  EXPECT_EQ(read_all(path + ".gz", 100), "");
}

class ArchiveEntries : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_.path("sub"));
    folder_.write("first.csv", "first\n");
    folder_.write("sub/second.csv", "second\n");
    archive_ = folder_.path("both.tar") + GetParam();
    const std::string names = *GetParam() == '\0' ? "./first.csv ./sub" : "first.csv sub";
    if (!run(fmt::format("tar -C '{}' -caf '{}' {}", folder_.path(""), archive_, names))) {
      GTEST_SKIP() << "tar does not make " << archive_;
    }
  }

  ScratchFolder folder_;
  std::string archive_;
};

TEST_P(ArchiveEntries, AreFoundByTheirNamesWithAndWithoutDot) {
  EXPECT_EQ(read_all(archive_ + "!first.csv", 100), "first\n");
  EXPECT_EQ(read_all(archive_ + "!./first.csv", 100), "first\n");
  EXPECT_EQ(read_all(archive_ + "!sub/second.csv", 2), "second\n");
}

TEST_P(ArchiveEntries, ThatAreNotThereAreNamed) {
  for (const char* entry : {"third.csv", "second.csv", "first"}) {
    EXPECT_EQ(complaint(folder_, archive_ + "!" + entry),
              fmt::format("both.tar{}: expected an entry \"{}\" in the archive: found none; it "
                          "holds first.csv, sub/second.csv",
                          GetParam(), entry));
  }
  EXPECT_NE(complaint(folder_, archive_ + "!sub").find("found none; it holds first.csv"),
            std::string::npos);
}

TEST_P(ArchiveEntries, AreListedWhereNoneIsNamed) {
  EXPECT_EQ(complaint(folder_, archive_),
            fmt::format("both.tar{0}: expected a compressed file: found an archive; name an entry: "
                        "both.tar{0}!ENTRY; it holds first.csv, sub/second.csv",
                        GetParam()));
}

TEST_P(ArchiveEntries, OfADamagedArchiveAreRefused) {
  folder_.write("cut", folder_.read(std::filesystem::path(archive_).filename()).substr(0, 60));
  EXPECT_EQ(complaint(folder_, folder_.path("cut") + "!sub/second.csv").find("cut"), 0u);
}

INSTANTIATE_TEST_SUITE_P(Compressions, ArchiveEntries, ::testing::Values("", ".gz", ".xz"));

TEST(ArchiveStream, AFileThatIsNotThereIsNamed) {
  const ScratchFolder folder;
  const std::string message = complaint(folder, folder.path("none.gz"));
  EXPECT_EQ(message.find("none.gz: cannot open: "), 0u) << message;
}

TEST(ArchiveStream, ADamagedFileIsRefusedWithItsName) {
  const ScratchFolder folder;
  const std::string path = folder.write("a", some_text());
  if (!run("gzip '" + path + "'")) {
    GTEST_SKIP() << "no program gzip";
  }
  const std::string packed = folder.read("a.gz");
  const std::string cut = folder.write("cut.gz", packed.substr(0, packed.size() / 2));
  EXPECT_EQ(complaint(folder, cut).find("cut.gz: "), 0u);
}

/// A compressed file whose second line has so many bytes.
std::string packed_line(const ScratchFolder& folder, std::int64_t bytes) {
  const std::string path =
      folder.write("a", "first\n" + std::string(static_cast<std::size_t>(bytes), 'x') + "\nlast");
  return run("gzip -1 '" + path + "'") ? path + ".gz" : "";
}

TEST(ArchiveStream, ALineThatNoTextHasIsRefusedBeforeItIsUnpacked) {
  const ScratchFolder folder, other;
  const std::string longest = packed_line(folder, kLongestLine);
  const std::string longer = packed_line(other, kLongestLine + 1);
  if (longest.empty() || longer.empty()) {
    GTEST_SKIP() << "no program gzip";
  }
  EXPECT_EQ(read_all(longest, 1 << 20).size(), static_cast<std::size_t>(kLongestLine) + 11);
  EXPECT_EQ(complaint(other, longer),
            "a.gz: expected text with lines of at most 67108864 bytes: found a longer one");
}

class Unpack : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string path = folder_.write("a", text_);
    if (!run("gzip '" + path + "'")) {
      GTEST_SKIP() << "no program gzip";
    }
    path_ = path + ".gz";
  }

  ScratchFolder folder_;
  std::string text_ = some_text(), path_;
  Progress progress_;
};

TEST_F(Unpack, GivesEverythingWhereItIsAtMostTheLimit) {
  const auto size = static_cast<std::int64_t>(text_.size());
  for (const std::int64_t limit : {size, size + 1, std::int64_t{1} << 40}) {
    std::string out = "before";
    EXPECT_TRUE(unpack(path_, limit, progress_, out)) << limit;
    EXPECT_EQ(out, text_);
  }
}

TEST_F(Unpack, KeepsNothingWhereItIsMore) {
  const auto size = static_cast<std::int64_t>(text_.size());
  for (const std::int64_t limit : {size - 1, std::int64_t{1}, std::int64_t{0}}) {
    std::string out = "before";
    EXPECT_FALSE(unpack(path_, limit, progress_, out)) << limit;
    EXPECT_EQ(out, "");
  }
}

TEST_F(Unpack, GivesSignsOfLife) {
  std::string out;
  unpack(path_, std::int64_t{1} << 40, progress_, out);
  EXPECT_GT(progress_.counter(), 0u);
}

}  // namespace
}  // namespace keyshard
