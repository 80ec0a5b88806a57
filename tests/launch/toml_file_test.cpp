// Configuration files and --set: the values that are read, and the place that every message names.
#include "launch/toml_file.hpp"

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

const SettingValue& entry(const SettingValue& table, std::string_view key) {
  return ValueReader(table, "train.toml").at(key).value();
}

std::string error_of(const std::string& content) {
  const ScratchFolder folder;
  try {
    read_toml(folder.write("train.toml", content));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::invalid_argument);
    return folder.without_path(error.text());
  }
  return "no error";
}

TEST(TomlFile, EveryValueKnowsItsLine) {
  const ScratchFolder folder;
  const std::string path = folder.write("train.toml", R"(config_version = 1
[job]
seed = -5
decay = 0.5
drop_last = true
output = "out"
[data]
train = ["a", "b"]
[[data.columns]]
name = "x"
[[data.columns]]
name = "y"
)");
  const SettingValue root = read_toml(path);
  const SettingValue& job = entry(root, "job");
  EXPECT_EQ(std::get<std::int64_t>(entry(job, "seed").value), -5);
  EXPECT_EQ(entry(job, "seed").place, path + ":3");
  EXPECT_EQ(std::get<double>(entry(job, "decay").value), 0.5);
  EXPECT_EQ(std::get<bool>(entry(job, "drop_last").value), true);
  EXPECT_EQ(std::get<std::string>(entry(job, "output").value), "out");
  const SettingValue& data = entry(root, "data");
  EXPECT_EQ(std::get<SettingValue::Array>(entry(data, "train").value).size(), 2u);
  const auto& columns = std::get<SettingValue::Array>(entry(data, "columns").value);
  ASSERT_EQ(columns.size(), 2u);
  EXPECT_EQ(entry(columns[1], "name").place, path + ":12");
}

TEST(TomlFile, KeysStayInTheOrderOfTheFile) {
  const ScratchFolder folder;
  const SettingValue root = read_toml(folder.write("train.toml", "z = 1\na = 2\nm = 3\n"));
  std::string order;
  for (const auto& [name, value] : std::get<SettingValue::Table>(root.value)) {
    order += name;
  }
  EXPECT_EQ(order, "zam");
}

TEST(TomlFile, ASyntaxErrorComesWithItsLine) {
  const std::string error = error_of("config_version = 1\n[job]\nepochs = = 3\n");
  EXPECT_TRUE(error.starts_with("train.toml:3: ")) << error;
}

TEST(TomlFile, AKeyGivenTwiceIsRefusedWithItsLine) {
  const std::string error = error_of("[job]\nepochs = 3\nseed = 1\nepochs = 4\n");
  EXPECT_TRUE(error.starts_with("train.toml:4: ")) << error;
  EXPECT_NE(error.find("'epochs'"), std::string::npos) << error;
}

TEST(TomlFile, ADateIsRefusedWithItsLine) {
  EXPECT_EQ(error_of("[job]\noutput = 2020-01-01\n"),
            "train.toml:2: expected a string, number, flag, list or table: found a date or time");
}

TEST(TomlFile, AFileThatIsNotThereOrAFolderIsNamed) {
  const ScratchFolder folder;
  for (const std::string& path : {folder.path("missing.toml"), folder.path("")}) {
    try {
      read_toml(path);
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.text(), path + ": expected a readable configuration file");
      EXPECT_EQ(error.kind(), Kind::invalid_argument);
    }
  }
}

TEST(SetValue, OverridesAndAddsByPath) {
  const ScratchFolder folder;
  SettingValue root = read_toml(folder.write("train.toml", "[job]\nepochs = 3\n"));
  set_value(root, "job.epochs=7");
  set_value(root, "model.dropout=0.5");
  set_value(root, "model.hidden=[8, 4]");
  set_value(root, "job.output=out/x=y");
  const SettingValue& epochs = entry(entry(root, "job"), "epochs");
  EXPECT_EQ(std::get<std::int64_t>(epochs.value), 7);
  EXPECT_EQ(epochs.place, "--set job.epochs");
  const SettingValue& model = entry(root, "model");
  EXPECT_EQ(std::get<double>(entry(model, "dropout").value), 0.5);
  EXPECT_EQ(std::get<SettingValue::Array>(entry(model, "hidden").value).size(), 2u);
  EXPECT_EQ(std::get<std::string>(entry(entry(root, "job"), "output").value), "out/x=y");
}

TEST(SetValue, WithoutAnEqualsSignOrATableIsRefused) {
  const auto error = [](const std::string& assignment) {
    SettingValue root{SettingValue::Table{{"seed", {std::int64_t{1}, "train.toml:1"}}}, ""};
    try {
      set_value(root, assignment);
    } catch (const Error& e) {
      return e.text();
    }
    return std::string("no error");
  };
  EXPECT_EQ(error("job.epochs"), "expected --set key=value: found \"job.epochs\"");
  EXPECT_EQ(error("=3"), "expected --set key=value: found \"=3\"");
  EXPECT_EQ(error("seed.x=3"), "--set seed.x: expected a table before \".x\"");
}

}  // namespace
}  // namespace keyshard
