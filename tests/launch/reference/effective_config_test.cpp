// The whole configuration as text: what is given stands there with its place, what is default
// stands behind a #, and the text reads as the same configuration.
#include "launch/reference/effective_config.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "launch/job_file.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

/// The configuration with a column of each kind, more than ten, and names that need quotes.
std::string rich_config() {
  std::string text = R"(config_version = 1
[job]
epochs = 3
schedule = { type = "step", factor = 0.5 }
[data]
train = ["a \"b\".csv"]
separator = "\t"
[model]
type = "logistic"
[embedding]
optimizer = "adam"
[tables.a]
seed = 8
[tables."a.b"]
seed = 9
[tables."a.b".initializer]
type = "uniform"
[[data.columns]]
name = "click"
index = 0
role = "label"
)";
  for (int c = 1; c < 12; ++c) {
    text += "[[data.columns]]\nname = \"C" + std::to_string(c) +
            "\"\nindex = " + std::to_string(c) + "\nrole = \"ids\"\n" +
            (c == 10 ? "table = \"a\"\nlist_separator = \"\\u007f\"\n" : "") +
            (c == 11 ? "table = \"a.b\"\nactivity_regularizer = \"l2\"\n" : "");
  }
  return text;
}

std::string text_of(const ResolvedSettings& values) { return config_text(values); }

TEST(EffectiveConfig, ReadsAsTheSameConfiguration) {
  const ScratchFolder folder;
  const JobConfig given =
      read_job_config(folder.write("given.toml", rich_config()), {"job.seed=5"});
  const JobConfig again = read_job_config(folder.write("again.toml", effective_config(given)), {});
  EXPECT_EQ(text_of(again.values), text_of(given.values));
}

TEST(EffectiveConfig, OfEveryExampleReadsAsTheExample) {
  std::int64_t examples = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(KEYSHARD_SOURCE_DIR "/launch/examples")) {
    if (entry.path().extension() == ".toml") {
      const JobConfig given = read_job_config(entry.path().string(), {});
      const ScratchFolder folder;
      const std::string data = "data.folder=\"" + entry.path().parent_path().string() + "/" +
                               as_text(given.values.at("data.folder")).value_or("") + "\"";
      const JobConfig again =
          read_job_config(folder.write("again.toml", effective_config(given)), {data});
      ResolvedSettings expected = given.values;
      expected["data.folder"] = again.values.at("data.folder");
      EXPECT_EQ(text_of(again.values), text_of(expected)) << entry.path();
      ++examples;
    }
  }
  EXPECT_GT(examples, 0);
}

TEST(EffectiveConfig, SaysWhatIsGivenAndWhere) {
  const ScratchFolder folder;
  const std::string text =
      effective_config(read_job_config(folder.write("given.toml", rich_config()), {"job.seed=5"}));
  const std::string given = folder.path("given.toml");
  for (const std::string& line :
       {"epochs = 3  # " + given + ":3\n", std::string("seed = 5  # --set job.seed\n"),
        std::string("# batch_size = 4096\n"), "type = \"adam\"  # " + given + ":11\n",
        std::string("# [model.optimizer]\n# beta_1 = 0.9\n"), std::string("[tables.\"a.b\"]\n")}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
  }
}

}  // namespace
}  // namespace keyshard
