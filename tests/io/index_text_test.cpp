// The text of a kept index, by FORMATS.md: an index comes back as it was, or not at all; and which
// entry fits a file.
#include <filesystem>
#include <functional>
#include <iterator>

#include <gtest/gtest.h>

#include "io/index_file.hpp"
#include "runtime/json.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

/// Two files: one of three blocks after a header, one that is a single block.
std::vector<IndexedFile> some_files() {
  IndexedFile plain{"data/a.csv", {300, 1'700'000'000'123'456'789}, 100, 1, {}};
  plain.blocks = {{0, 7, 107, 5, 6, {1, 2}}, {0, 107, 207, 0, 0, {}}, {0, 207, 300, 4, 4, {3, 0}}};
  IndexedFile packed{"b.csv.gz", {80, 5}, 0, 0, {}};
  packed.blocks = {{0, 0, 500, 9, 11, {4, 5}}};
  return {plain, packed};
}

/// Expects that two lists have the same files with the same blocks.
void expect_same(const std::vector<IndexedFile>& found, const std::vector<IndexedFile>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t f = 0; f < found.size(); ++f) {
    EXPECT_EQ(found[f].name, expected[f].name);
    EXPECT_EQ(found[f].stamp, expected[f].stamp);
    EXPECT_EQ(found[f].block_bytes, expected[f].block_bytes);
    EXPECT_EQ(found[f].skip_lines, expected[f].skip_lines);
    ASSERT_EQ(found[f].blocks.size(), expected[f].blocks.size());
    for (std::size_t b = 0; b < found[f].blocks.size(); ++b) {
      EXPECT_EQ(found[f].blocks[b].begin, expected[f].blocks[b].begin);
      EXPECT_EQ(found[f].blocks[b].end, expected[f].blocks[b].end);
      EXPECT_EQ(found[f].blocks[b].records, expected[f].blocks[b].records);
      EXPECT_EQ(found[f].blocks[b].lines, expected[f].blocks[b].lines);
      EXPECT_EQ(found[f].blocks[b].content, expected[f].blocks[b].content);
    }
  }
}

TEST(IndexText, ComesBackAsItWas) {
  expect_same(parse_index(index_text(some_files())), some_files());
  expect_same(parse_index(index_text({})), {});
}

TEST(IndexText, HasTheMembersOfItsFormat) {
  const SettingValue tree = parse_json(index_text(some_files()), "index");
  const ValueReader index(tree, "index");
  EXPECT_EQ(index.at("version").integer(), 2);
  const ValueReader file = index.at("files").entries(2)[0];
  EXPECT_EQ(file.at("name").text(), "data/a.csv");
  EXPECT_EQ(file.at("bytes").integer(), 300);
  EXPECT_EQ(file.at("modified_ns").integer(), 1'700'000'000'123'456'789);
  EXPECT_EQ(file.at("block_bytes").integer(), 100);
  EXPECT_EQ(file.at("skip_lines").integer(), 1);
  EXPECT_EQ(file.at("begin").integer(), 7);
  EXPECT_EQ(file.at("ends").entries(3)[1].integer(), 207);
  EXPECT_EQ(file.at("records").entries(3)[0].integer(), 5);
  EXPECT_EQ(file.at("lines").entries(3)[0].integer(), 6);
}

TEST(IndexText, WithAnyOtherByteIsNotUsed) {
  const std::string text = index_text(some_files());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    ASSERT_TRUE(parse_index(changed).empty()) << "byte " << i;
  }
}

TEST(IndexText, ThatIsCutIsNotUsed) {
  const std::string text = index_text(some_files());
  for (std::size_t size = 0; size < text.size(); ++size) {
    ASSERT_TRUE(parse_index(text.substr(0, size)).empty()) << size << " bytes";
  }
}

TEST(IndexText, OfSomethingElseIsNotUsed) {
  for (const char* text : {"", "{}", "[]", "null", "{\"version\":1}", "no JSON",
                           "{\"version\":1,\"files\":[],\"digest\":\"\"}"}) {
    EXPECT_TRUE(parse_index(text).empty()) << text;
  }
}

TEST(IndexedFile, FitsTheFileAsItLiesThereAndNoOther) {
  const IndexedFile file = some_files()[0];
  EXPECT_TRUE(file.fits(file));
  const std::vector<std::pair<const char*, std::function<void(IndexedFile&)>>> changes{
      {"name", [](IndexedFile& f) { f.name = "data/b.csv"; }},
      {"bytes", [](IndexedFile& f) { ++f.stamp.bytes; }},
      {"time", [](IndexedFile& f) { ++f.stamp.modified_ns; }},
      {"block_bytes", [](IndexedFile& f) { f.block_bytes = 0; }},
      {"skip_lines", [](IndexedFile& f) { f.skip_lines = 0; }}};
  for (const auto& [what, change] : changes) {
    IndexedFile other = file;
    change(other);
    EXPECT_FALSE(file.fits(other)) << what;
  }
}

TEST(IndexedFile, OfUnknownTimeFitsNothing) {
  IndexedFile pipe = some_files()[0];
  pipe.stamp.modified_ns = -1;
  EXPECT_FALSE(pipe.fits(pipe));
}

TEST(IndexName, IsRelativeToTheFolderOfTheIndex) {
  EXPECT_EQ(index_name("/d/job/a.csv", "/d/job"), "a.csv");
  EXPECT_EQ(index_name("/d/data/a.csv", "/d/job"), "../data/a.csv");
  EXPECT_EQ(index_name("/d/job/../data/./a.csv", "/d/job/"), "../data/a.csv");
  EXPECT_EQ(index_name("out/a.csv", "out"), "a.csv");
  EXPECT_EQ(index_name("a.csv", "out"), "../a.csv");
}

std::ptrdiff_t files_in(const ScratchFolder& folder) {
  return std::distance(std::filesystem::directory_iterator(folder.path("")), {});
}

TEST(KeptIndexFile, IsOneOfEachSplitAndReplacedWhole) {
  const ScratchFolder folder;
  EXPECT_EQ(read_index(folder.path(""), Split::train), "");
  write_index(folder.path(""), Split::train, some_files());
  write_index(folder.path(""), Split::valid, {});
  expect_same(parse_index(read_index(folder.path(""), Split::train)), some_files());
  expect_same(parse_index(read_index(folder.path(""), Split::valid)), {});
  EXPECT_EQ(folder.read("index-train.json"), index_text(some_files()));

  write_index(folder.path(""), Split::train, {some_files()[1]});
  expect_same(parse_index(folder.read("index-train.json")), {some_files()[1]});
  EXPECT_EQ(files_in(folder), 2) << "something unfinished was left";
}

TEST(KeptIndexFile, ThatCannotBeWrittenIsNone) {
  const ScratchFolder folder;
  write_index(folder.path("none"), Split::train, some_files());

  EXPECT_EQ(read_index(folder.path("none"), Split::train), "");
  EXPECT_EQ(files_in(folder), 0);
}

TEST(IndexText, ANameThatIsNoUtf8ComesBackAsOneThatFitsNoFile) {
  std::vector<IndexedFile> files = some_files();
  files[0].name = "\xFF.csv";
  const std::vector<IndexedFile> found = parse_index(index_text(files));

  ASSERT_EQ(found.size(), 2u);
  EXPECT_FALSE(found[0].fits(files[0]));
  EXPECT_TRUE(found[1].fits(files[1]));
}

}  // namespace
}  // namespace keyshard
