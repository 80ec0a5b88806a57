// The kept index of text files: used while size and time of a file are the same, and only then.
#include "io/index_file.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/io/read_data.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

namespace fs = std::filesystem;

class KeptIndex : public ::testing::Test {
 protected:
  KeptIndex() {
    options_.train = {path("a.csv"), path("b.csv")};
    options_.columns = {make_column("y", 0, ColumnRole::label),
                        make_column("c", 1, ColumnRole::id)};
    options_.index_folder = folder_.path("");
    write("a.csv", "1,1\n2,1\n");
    write("b.csv", "3,1\n4,1\n5,1\n");
  }

  std::string path(const std::string& name) const { return folder_.path(name); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }

  /// Changes a file but keeps its size and time.
  void change_unseen(const std::string& name, const std::string& text) const {
    const auto time = fs::last_write_time(path(name));
    ASSERT_EQ(fs::file_size(path(name)), text.size());
    write(name, text);
    fs::last_write_time(path(name), time);
  }

  std::vector<float> labels() const {
    std::vector<float> labels;
    for (const Sample& sample : read_in_order(options_)) {
      labels.push_back(sample.label);
    }
    return labels;
  }

  ScratchFolder folder_;
  DataOptions options_;
};

TEST_F(KeptIndex, IsUsedWhileSizeAndTimeOfAFileStand) {
  EXPECT_EQ(labels(), (std::vector<float>{1, 2, 3, 4, 5}));
  EXPECT_TRUE(fs::exists(path("index-train.json")));

  change_unseen("b.csv", "3,1\n4,11111\n");  // three records are expected, so the index was used
  EXPECT_NE(complaint(options_).find("b.csv: expected the 3 records from byte 0 to 12 as they "
                                     "were counted: found others"),
            std::string::npos)
      << complaint(options_);
}

TEST_F(KeptIndex, OfAChangedFileIsMadeAgain) {
  labels();
  write("b.csv", "3,1\n");
  EXPECT_EQ(labels(), (std::vector<float>{1, 2, 3}));
  fs::last_write_time(path("a.csv"), fs::last_write_time(path("a.csv")) + std::chrono::seconds(1));
  change_unseen("a.csv", "7,11111\n");  // same size, but a new time
  EXPECT_EQ(labels(), (std::vector<float>{7, 3}));
}

TEST_F(KeptIndex, OfAFileWithOtherBytesOfTheSameSizeAndTimeIsNotFollowed) {
  labels();
  change_unseen("b.csv", "3,1\n4,1\n6,1\n");
  EXPECT_NE(complaint(options_).find("found others; the file changed"), std::string::npos)
      << complaint(options_);
  fs::remove(path("index-train.json"));
  EXPECT_EQ(labels(), (std::vector<float>{1, 2, 3, 4, 6}));
}

TEST_F(KeptIndex, IsNotThatOfOtherBlocksOrSkippedLines) {
  labels();
  options_.skip_lines = 1;
  EXPECT_EQ(labels(), (std::vector<float>{2, 4, 5}));
  options_.block_bytes = 3;
  EXPECT_EQ(labels(), (std::vector<float>{2, 4, 5}));
}

TEST_F(KeptIndex, ThatIsDamagedIsNotUsed) {
  labels();
  std::string text = folder_.read("index-train.json");
  text.replace(text.find("\"records\":[2]"), 13, "\"records\":[9]");
  write("index-train.json", text);
  EXPECT_EQ(labels().size(), 5u);
  write("index-train.json", "{");
  EXPECT_EQ(labels().size(), 5u);
}

TEST_F(KeptIndex, MovesWithTheFolderThatHoldsItAndItsData) {
  EXPECT_EQ(index_name("/jobs/data/a.csv", "/jobs/out"), "../data/a.csv");
  EXPECT_EQ(index_name("/jobs/out/../data/a.csv", "/jobs/out/"), "../data/a.csv");
}

TEST_F(KeptIndex, KnowsCompressedFilesThatAreReadInOnePass) {
  ASSERT_EQ(std::system(fmt::format("gzip -k '{}' '{}'", path("a.csv"), path("b.csv")).c_str()), 0);
  options_.train = {path("a.csv.gz"), path("b.csv.gz")};
  for (const ReadOrder order : {ReadOrder::files, ReadOrder::stream}) {
    options_.order = order;
    EXPECT_EQ(labels(), (std::vector<float>{1, 2, 3, 4, 5}));
    EXPECT_EQ(labels(), (std::vector<float>{1, 2, 3, 4, 5}));
  }
  const auto kept = parse_index(folder_.read("index-train.json"));
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[1].name, "b.csv.gz");
  EXPECT_EQ(kept[1].blocks[0].records, 3);
  EXPECT_EQ(kept[1].blocks[0].end, 12);  // unpacked
}

}  // namespace
}  // namespace keyshard::testing
