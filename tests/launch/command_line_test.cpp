// The command line inside one process: which options are refused, with which message, and that
// given options reach the command.
#include "launch/command_line.hpp"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include <gtest/gtest.h>

#include "launch/commands.hpp"
#include "launch/toml_file.hpp"
#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

struct Ending {
  int code = -1;
  std::string out, error;
};

/// Runs "keyshard WORDS".
Ending run(std::vector<std::string> words) {
  words.insert(words.begin(), "keyshard");
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  Ending ending;
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  try {
    ending.code = run_command_line(static_cast<int>(arguments.size()), arguments.data());
  } catch (const Error& error) {
    ending.error = error.text();
  }
  std::fflush(stdout);
  ending.out = ::testing::internal::GetCapturedStdout();
  ending.error += ::testing::internal::GetCapturedStderr();
  return ending;
}

/// Expects that a command line is refused as bad usage, with `part` in the message.
void expect_usage(const std::vector<std::string>& words, const std::string& part) {
  const Ending ending = run(words);
  EXPECT_EQ(ending.code, kExitUsage) << part;
  EXPECT_NE(ending.error.find(part), std::string::npos) << part << ": " << ending.error;
  EXPECT_EQ(ending.out, "");
}

TEST(CommandLine, WithoutACommandIsBadUsage) { expect_usage({}, "subcommand"); }

TEST(CommandLine, AWordThatIsNoCommandIsThrownWithTheNearest) {
  const std::vector<std::pair<const char*, const char*>> words{
      {"trian", "; did you mean \"train\"?"},
      {"evalute", "; did you mean \"evaluate\"?"},
      {"preditc", "; did you mean \"predict\"?"},
      {"inspekt", "; did you mean \"inspect\"?"},
      {"xxxxxxxxxxxx", "found \"xxxxxxxxxxxx\""}};
  for (const auto& [word, part] : words) {
    const Ending ending = run({word, "job.toml"});
    EXPECT_EQ(ending.code, -1);
    EXPECT_TRUE(ending.error.ends_with(part)) << ending.error;
  }
}

TEST(CommandLine, EveryCommandNeedsItsWords) {
  for (const char* command : {"train", "convert"}) {
    expect_usage({command}, "CONFIG");
  }
  for (const char* command : {"evaluate", "predict"}) {
    expect_usage({command}, "--checkpoint");
  }
  for (const char* command : {"inspect", "digest"}) {
    expect_usage({command}, "DIR");
  }
  expect_usage({"generate"}, "FOLDER");
  expect_usage({"convert", "job.toml"}, "OUT");
  expect_usage({"evaluate", "job.toml"}, "--checkpoint");
  expect_usage({"predict", "job.toml", "--checkpoint", "out"}, "--out");
}

TEST(CommandLine, AnUnknownOptionIsNamed) {
  for (const char* command : {"train", "generate", "inspect", "bench"}) {
    expect_usage({command, "x", "--colour", "red"}, "--colour");
  }
}

TEST(CommandLine, NumbersOutOfTheirRangeAreRefusedByTheirOption) {
  const std::vector<std::vector<std::string>> lines{
      {"train", "x", "--threads", "-1"},         {"train", "x", "--steps", "0"},
      {"train", "x", "--steps", "-3"},           {"train", "x", "--steps", "many"},
      {"train", "x", "--threads", "1.5"},        {"generate", "x", "--records", "0"},
      {"generate", "x", "--valid-records", "0"}, {"generate", "x", "--features", "0"},
      {"generate", "x", "--ragged", "-1"},       {"generate", "x", "--dense", "-1"},
      {"generate", "x", "--vocabulary", "0"},    {"generate", "x", "--zipf", "-0.5"},
      {"generate", "x", "--seed", "first"},      {"bench", "find", "--threads", "-1"},
      {"bench", "find", "--dim", "32"},          {"bench", "find", "--rounds", "0"},
      {"bench", "find", "--steps", "0"},         {"bench", "find", "--warmup", "-1"}};
  for (const std::vector<std::string>& line : lines) {
    expect_usage(line, line[2]);
  }
}

TEST(CommandLine, WordsThatAreNoChoiceAreRefusedByTheirOption) {
  expect_usage({"train", "x", "--progress", "fancy"}, "--progress");
  expect_usage({"train", "x", "--device", "tpu"}, "--device");
  expect_usage({"bench", "find", "--device", "tpu"}, "--device");
  expect_usage({"evaluate", "x", "--checkpoint", "c", "--split", "all"}, "--split");
}

TEST(CommandLine, HelpNamesEveryOptionOfACommand) {
  const std::vector<std::pair<const char*, std::vector<const char*>>> options{
      {"train",
       {"CONFIG", "--output", "--threads", "--set", "--progress", "--device", "--steps", "--resume",
        "--trace-digests"}},
      {"evaluate", {"CONFIG", "--checkpoint", "--split", "--set"}},
      {"predict", {"CONFIG", "--checkpoint", "--split", "--out"}},
      {"convert", {"CONFIG", "OUT", "--set"}},
      {"generate",
       {"FOLDER", "--records", "--valid-records", "--features", "--ragged", "--dense",
        "--vocabulary", "--zipf", "--seed"}},
      {"inspect", {"DIR"}},
      {"digest", {"DIR"}},
      {"bench",
       {"MEASURES", "--device", "--large-rows", "--quick", "--json", "--data", "--scratch",
        "--threads", "--dim", "--rounds", "--steps", "--warmup"}}};
  for (const auto& [command, names] : options) {
    const Ending help = run({command, "--help"});
    EXPECT_EQ(help.code, kExitDone);
    EXPECT_EQ(help.error, "");
    for (const char* name : names) {
      EXPECT_NE(help.out.find(name), std::string::npos) << command << " " << name;
    }
  }
}

TEST(CommandLine, OtherRanksPrintNothing) {
  setenv("OMPI_COMM_WORLD_RANK", "1", 1);
  const Ending help = run({"--help"}), wrong = run({"train"});
  unsetenv("OMPI_COMM_WORLD_RANK");
  EXPECT_EQ(help.code, kExitDone);
  EXPECT_EQ(wrong.code, kExitUsage);
  EXPECT_EQ(help.out + help.error + wrong.out + wrong.error, "");
}

/// Cells of the first line of a file, separated by tabs.
std::vector<std::string> first_cells(const std::string& text) {
  std::vector<std::string> cells(1);
  for (const char c : text.substr(0, text.find('\n'))) {
    c == '\t' ? cells.emplace_back() : cells.back() += c;
  }
  return cells;
}

const SettingValue& entry(const SettingValue& table, std::string_view key) {
  for (const auto& [name, value] : std::get<SettingValue::Table>(table.value)) {
    if (name == key) {
      return value;
    }
  }
  throw std::out_of_range(std::string(key));
}

/// The roles of the columns of a configuration.
std::vector<std::string> roles_of(const SettingValue& config) {
  std::vector<std::string> roles;
  for (const SettingValue& column :
       std::get<SettingValue::Array>(entry(entry(config, "data"), "columns").value)) {
    roles.push_back(std::get<std::string>(entry(column, "role").value));
  }
  return roles;
}

TEST(CommandLine, OptionsOfGenerateReachWhatItWrites) {
  const ScratchFolder folder;
  const Ending ending = run({"generate", folder.path("log"), "--records", "30", "--valid-records",
                             "20", "--features", "4", "--ragged", "1", "--dense", "2",
                             "--vocabulary", "9", "--zipf", "0.5", "--seed", "7"});
  EXPECT_EQ(ending.code, kExitDone) << ending.error;
  EXPECT_NE(ending.out.find("30 records to train and 20 to validate, 4 features"),
            std::string::npos)
      << ending.out;
  const std::string train = folder.read("log/train.tsv"), valid = folder.read("log/valid.tsv");
  EXPECT_EQ(std::count(train.begin(), train.end(), '\n'), 30);
  EXPECT_EQ(std::count(valid.begin(), valid.end(), '\n'), 20);
  EXPECT_EQ(first_cells(train).size(), 1u + 2 + 4);

  const std::vector<std::string> roles = roles_of(read_toml(folder.path("log/click-log.toml")));
  EXPECT_EQ(roles, (std::vector<std::string>{"label", "dense", "dense", "id", "id", "id", "ids"}));
}

TEST(CommandLine, AnotherSeedIsAnotherLogAndTheSameSeedTheSame) {
  const ScratchFolder folder;
  for (const auto& [name, seed] :
       std::vector<std::pair<const char*, const char*>>{{"a", "7"}, {"b", "7"}, {"c", "8"}}) {
    run({"generate", folder.path(name), "--records", "50", "--valid-records", "5", "--seed", seed});
  }
  EXPECT_EQ(folder.read("a/train.tsv"), folder.read("b/train.tsv"));
  EXPECT_NE(folder.read("a/train.tsv"), folder.read("c/train.tsv"));
}

TEST(CommandLine, MoreRaggedFeaturesThanThereAreAreRefused) {
  const ScratchFolder folder;
  const Ending ending = run({"generate", folder.path("log"), "--features", "2", "--ragged", "3"});
  EXPECT_EQ(ending.error, "expected --ragged of at most the 2 features: found 3");
  EXPECT_FALSE(std::filesystem::exists(folder.path("log")));
}

}  // namespace
}  // namespace keyshard
