// The files that words of a configuration mean: names with any characters, patterns and folders.
#include "io/data_files.hpp"

#include <filesystem>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

struct Found {
  std::vector<std::string> names;  // without the folder
  std::vector<std::string> markers;
  std::string problems;
};

class DataFilesOf : public ::testing::Test {
 protected:
  Found find(const std::vector<std::string>& words, const std::string& folder) const {
    SettingValue::Array array;
    for (const std::string& word : words) {
      array.push_back({word, "job.toml:8"});
    }
    const SettingValue tree{SettingValue::Table{{"train", {std::move(array), "job.toml:8"}}},
                            "job.toml:1"};
    const auto report = std::make_shared<SettingsReport>();
    Settings settings(tree, "data", report);
    const DataFiles files = read_data_files(settings, "train", folder);
    return {names_of(files.files, folder), names_of(files.markers, folder),
            fmt::format("{}", fmt::join(report->messages, "\n"))};
  }

  Found find(const std::vector<std::string>& words) const { return find(words, scratch_.path("")); }

  static std::vector<std::string> names_of(const std::vector<std::string>& paths,
                                           const std::string& folder) {
    std::vector<std::string> names;
    for (const std::string& path : paths) {
      names.push_back(std::filesystem::path(path).lexically_relative(folder).string());
    }
    return names;
  }

  ScratchFolder scratch_;
};

TEST_F(DataFilesOf, AFileThatExistsWinsOverEveryMeaningOfItsName) {
  for (const char* name :
       {"a[1].csv", "a1.csv", "b*.csv", "bx.csv", "c?.csv", "wow!.csv", "d!e.gz"}) {
    scratch_.write(name, "1\n");
  }
  const Found found = find({"a[1].csv", "b*.csv", "c?.csv", "wow!.csv", "d!e.gz"});
  EXPECT_EQ(found.problems, "");
  EXPECT_EQ(found.names,
            (std::vector<std::string>{"a[1].csv", "b*.csv", "c?.csv", "wow!.csv", "d!e.gz"}));
  EXPECT_EQ(find({"a[12].csv"}).names, std::vector<std::string>{"a1.csv"});
}

TEST_F(DataFilesOf, TheFolderOfTheConfigurationIsNoPattern) {
  for (const char* folder : {"run[1]", "run*", "a?b", "back\\slash"}) {
    std::filesystem::create_directories(scratch_.path(folder));
    scratch_.write(std::string(folder) + "/part-1", "1\n");
    scratch_.write(std::string(folder) + "/part-2", "1\n");
    const Found found = find({"part-*"}, scratch_.path(folder));
    EXPECT_EQ(found.problems, "");
    EXPECT_EQ(found.names, (std::vector<std::string>{"part-1", "part-2"})) << folder;
  }
}

TEST_F(DataFilesOf, EntriesOfAnArchiveMayHaveTheCharactersOfPatterns) {
  scratch_.write("a.tar", "");
  EXPECT_EQ(find({"a.tar!x[1]*.csv"}).names, std::vector<std::string>{"a.tar!x[1]*.csv"});
}

TEST_F(DataFilesOf, AFolderIsItsFilesWithoutMarkers) {
  std::filesystem::create_directories(scratch_.path("d"));
  for (const char* name : {"part-2", "part-1", "_SUCCESS", ".part-1.crc", "_train.csv"}) {
    scratch_.write(std::string("d/") + name, "1\n");
  }
  for (const char* word : {"d", "d/", "d/*"}) {
    const Found found = find({word});
    EXPECT_EQ(found.problems, "");
    EXPECT_EQ(found.names, (std::vector<std::string>{"d/_train.csv", "d/part-1", "d/part-2"}))
        << word;
    EXPECT_EQ(found.markers.back(), "d/_SUCCESS") << word;
  }
  EXPECT_EQ(find({"d"}).markers, (std::vector<std::string>{"d/.part-1.crc", "d/_SUCCESS"}));
  EXPECT_EQ(find({"d/_SUCC*"}).names, std::vector<std::string>{"d/_SUCCESS"});
}

TEST_F(DataFilesOf, WordsThatLeadNowhereAreProblems) {
  std::filesystem::create_directories(scratch_.path("empty"));
  std::filesystem::create_directories(scratch_.path("d/sub"));
  EXPECT_NE(find({"none*"}).problems.find("expected files that match"), std::string::npos);
  EXPECT_NE(find({"empty"}).problems.find("expected files in the folder"), std::string::npos);
  EXPECT_NE(find({"d"}).problems.find("d/sub\"; name its files by a pattern"), std::string::npos)
      << find({"d"}).problems;
}

TEST(SomeOf, NamesTheFirstThree) {
  EXPECT_EQ(some_of({"a"}), "a");
  EXPECT_EQ(some_of({"a", "b", "c"}), "a, b, c");
  EXPECT_EQ(some_of({"a", "b", "c", "d", "e"}), "a, b, c and 2 more");
}

}  // namespace
}  // namespace keyshard
