// evaluate and predict: which checkpoint and configuration they take, what they refuse, and scores
// of records without labels.
#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

/// Ratings of 1 to 5 that a biased matrix factorisation learns in two epochs.
class Scoring : public ProgramTest {
 protected:
  static constexpr int kRecords = 48;

  void SetUp() override {
    std::string text = "rating,user,item\n";
    for (int i = 0; i < kRecords; ++i) {
      text += fmt::format("{},u{},i{}\n", 1 + i % 5, i * 7 % 13, i * 5 % 11);
    }
    folder_.write("train.csv", text);
    folder_.write("job.toml", config("header = true", "", "", ""));
    const Ending trained = run("train job.toml --output out");
    ASSERT_EQ(trained.code, kExitDone) << trained.error;
    trained_ = trained.out;
  }

  static std::string config(const std::string& data, const std::string& label,
                            const std::string& user, const std::string& item) {
    return fmt::format(R"(config_version = 1
[job]
epochs = 2
batch_size = 16
slices = 4
threads = 1
patience = 5
[data]
train = ["train.csv"]
valid = ["train.csv"]
{}
[model]
type = "mf"
[embedding]
dim = 4
optimizer = {{ type = "adagrad", learning_rate = 0.1 }}
[[data.columns]]
name = "rating"
role = "label"
{}
[[data.columns]]
name = "user"
role = "id"
{}
[[data.columns]]
name = "item"
role = "id"
{}
)",
                       data, label, user, item);
  }

  /// What `predict` writes for some files; the error where it fails.
  std::string scores(const std::string& options, const std::string& checkpoint = "out") {
    const Ending done = run("predict --out scores --checkpoint " + checkpoint + " " + options);
    return done.code == kExitDone ? folder_.read("scores") : done.error;
  }

  /// The input with another first column, line by line, the header included.
  void write_with_first(const std::string& name, const std::string& header_first,
                        const std::string& first) {
    std::istringstream lines(folder_.read("train.csv"));
    std::string text, line;
    for (bool header = true; std::getline(lines, line); header = false) {
      text += (header ? header_first : first) + line.substr(line.find(',') + 1) + "\n";
    }
    folder_.write(name, text);
  }

  std::string trained_;
};

TEST_F(Scoring, NeedsNoConfigurationButThatOfTheCheckpoint) {
  const Ending given = run("evaluate job.toml --checkpoint out");
  EXPECT_EQ(given.code, kExitDone) << given.error;
  EXPECT_EQ(run("evaluate --checkpoint out").out, given.out);
  EXPECT_EQ(run("evaluate --checkpoint out", mpirun(2)).out, given.out);
  EXPECT_EQ(shell("sh -c 'cd / && " KEYSHARD_PROGRAM " evaluate --checkpoint " +
                  folder_.path("out") + "'")
                .code,
            kExitDone);
  std::filesystem::rename(folder_.path("train.csv"), folder_.path("moved.csv"));
  EXPECT_NE(run("evaluate --checkpoint out").code, kExitDone);
  EXPECT_EQ(run("evaluate --checkpoint out --data.valid moved.csv").out, given.out);
  EXPECT_EQ(run("evaluate job.toml --checkpoint out --data.valid moved.csv moved.csv").code,
            kExitDone);
}

TEST_F(Scoring, ReadsItsConfigurationOnceSoThatItMayComeThroughAPipe) {
  const auto piped = [&](const std::string& arguments) {
    return shell("sh -c 'cat job.toml | " KEYSHARD_PROGRAM " " + arguments + "'");
  };
  const Ending evaluated = piped("evaluate /dev/stdin --checkpoint out");
  EXPECT_EQ(evaluated.code, kExitDone) << evaluated.error;
  EXPECT_EQ(evaluated.out, run("evaluate job.toml --checkpoint out").out);
  EXPECT_EQ(piped("predict /dev/stdin --checkpoint out --out scores").code, kExitDone);
  // Relative paths begin where the command runs, also for a job.
  const Ending trained = piped("train /dev/stdin --set job.output=piped");
  EXPECT_EQ(trained.code, kExitDone) << trained.error;
  EXPECT_EQ(digest_in(trained.out), digest_in(trained_));
  EXPECT_TRUE(exists("piped/metrics.jsonl"));
}

TEST_F(Scoring, ScoresTheFilesThatTheCommandGives) {
  folder_.write("three.csv", "rating,user,item\n1,u0,i0\n2,u1,i1\n3,u2,i2\n");
  for (const char* split : {"train", "valid", "test"}) {
    const std::string lines = scores(std::string("--data.") + split + " three.csv");
    EXPECT_EQ(count(lines, "\n"), 3u) << split << ": " << lines;
    EXPECT_NE(run(std::string("evaluate --checkpoint out --data.") + split + " three.csv")
                  .out.find(std::string(split) + " of "),
              std::string::npos);
  }
  EXPECT_EQ(count(scores("--data.train three.csv --data.test train.csv"), "\n"), 48u);
  EXPECT_EQ(scores("--data.test three.csv --split valid"),
            "error: --data.test: expected --split test, which scores these files: found --split "
            "valid\n");
  EXPECT_EQ(scores("--data.valid three.csv --data.test three.csv --split valid"),
            "error: --data.test: expected --split test, which scores these files: found --split "
            "valid\n");
  EXPECT_EQ(scores("--data.train three.csv --data.valid three.csv --split train"),
            "error: --data.valid: expected --split valid, which scores these files: found --split "
            "train\n");
  EXPECT_EQ(count(scores("--data.train train.csv --data.test three.csv --split test"), "\n"), 3u);
  EXPECT_EQ(
      scores("--data.test three.csv --data.valid three.csv"),
      "error: --split: expected valid or test beside both --data.valid and --data.test: found "
      "none\n");
}

TEST_F(Scoring, NeedsNoneOfTheDevicesOfTheTraining) {
  const Ending expected = run("evaluate --checkpoint out");
  const std::string devices = " --set 'embedding.devices=[\"cpu:1\"]'";
  const Ending trained = run("train job.toml --output owned" + devices, mpirun(2));
  ASSERT_EQ(trained.code, kExitDone) << trained.error;
  EXPECT_EQ(digest_of("owned"), digest_of("out"));

  Ending scored = run("evaluate --checkpoint owned");
  ASSERT_EQ(scored.code, kExitDone) << scored.error;
  EXPECT_EQ(scored.out.replace(scored.out.find("owned/"), 5, "out"), expected.out);
  const std::string more = "train job.toml --output owned --resume latest --set job.epochs=3";
  const Ending lacking = run(more + devices);
  EXPECT_EQ(lacking.code, kExitUsage) << lacking.out;
  EXPECT_NE(lacking.error.find("expected devices of the ranks 0 to 0: found \"cpu:1\""),
            std::string::npos)
      << lacking.error;
  const Ending resumed = run(more + " --set 'embedding.devices=[]'", mpirun(3));
  EXPECT_EQ(resumed.code, kExitDone) << resumed.error;
}

TEST_F(Scoring, TakesTheCheckpointByWordStepOrAnyName) {
  const std::string shown = run("evaluate --checkpoint out/checkpoints/step-000006").out;
  EXPECT_NE(shown.find("valid of out/checkpoints/step-000006: 48 samples, rmse "),
            std::string::npos)
      << shown;
  for (const char* name : {"out", "out/", "out/checkpoints", "out/latest", "out/best", "out/6",
                           "out/checkpoints/6", "out/checkpoints/step-000006/manifest.json"}) {
    EXPECT_EQ(run(std::string("evaluate --checkpoint ") + name).out, shown) << name;
  }
  for (const char* name : {"best", "latest", "6"}) {
    EXPECT_EQ(run(std::string("evaluate --output out --checkpoint ") + name).out, shown) << name;
    EXPECT_EQ(run(std::string("evaluate job.toml --checkpoint ") + name).out, shown) << name;
  }
  const Ending none = run("evaluate --checkpoint out/5");
  EXPECT_EQ(none.code, kExitCheckpoint);
  EXPECT_NE(none.error.find("out/checkpoints: expected a checkpoint of step 5: found steps "),
            std::string::npos)
      << none.error;

  std::filesystem::copy(folder_.path("out/checkpoints/step-000006"), folder_.path("best"));
  const Ending renamed = run("evaluate --checkpoint best");
  EXPECT_EQ(renamed.code, kExitDone) << renamed.error;
  EXPECT_EQ(run("inspect best").code, kExitDone);
  EXPECT_EQ(digest_of("best"), digest_of("out"));
}

TEST_F(Scoring, IsToldAtTheEndOfATraining) {
  EXPECT_NE(trained_.find("score with the best step, 6 (rmse "), std::string::npos) << trained_;
  EXPECT_NE(trained_.find("): keyshard evaluate --checkpoint out/6\nstate digest "),
            std::string::npos)
      << trained_;
  const Ending shown = run("inspect out");
  EXPECT_NE(shown.out.find("\nbest step 6: rmse "), std::string::npos) << shown.out;
}

TEST_F(Scoring, RefusesAConfigurationThatMakesOtherKeysOrScores) {
  for (const auto& [key, saved, other] : {std::tuple("embedding.dim", "4", "8"),
                                          {"job.seed", "1", "2"},
                                          {"model.loss", "\"squared_error\"", "\"log_loss\""},
                                          {"data.separator", "\",\"", "\";\""},
                                          {"embedding.optimizer.type", "\"adagrad\"", "\"sgd\""}}) {
    const Ending refused =
        run(fmt::format("evaluate job.toml --checkpoint out --set '{}={}'", key, other));
    EXPECT_EQ(refused.code, kExitCheckpoint) << key << refused.out;
    EXPECT_NE(
        refused.error.find(fmt::format("error: out/checkpoints/step-000006: {} may not change "
                                       "where a checkpoint is scored: expected {}: found {}\n",
                                       key, saved, other)),
        std::string::npos)
        << refused.error;
  }
  folder_.write("other.toml", config("header = true", "", "type = \"integer\"", ""));
  const Ending two = run("predict other.toml --checkpoint out --out scores", mpirun(2));
  EXPECT_EQ(two.code, kExitCheckpoint);
  EXPECT_EQ(count(two.error,
                  "data.columns[1].type may not change where a checkpoint is scored: "
                  "expected \"string\": found \"integer\""),
            1u)
      << two.error;
  EXPECT_FALSE(exists("scores"));
}

TEST_F(Scoring, PredictsRecordsWithoutLabels) {
  const std::string expected = scores("");
  EXPECT_EQ(std::count(expected.begin(), expected.end(), '\n'), kRecords) << expected;
  write_with_first("none.csv", "", "");
  EXPECT_EQ(scores("--data.valid none.csv"), expected);
  write_with_first("empty.csv", "rating,", ",");
  EXPECT_EQ(scores("--data.valid empty.csv"), expected);
  write_with_first("words.csv", "rating,", "?,");
  EXPECT_EQ(scores("--data.valid words.csv"), expected);
  const Ending evaluated = run("evaluate --checkpoint out --data.valid none.csv");
  EXPECT_EQ(evaluated.code, kExitUsage) << evaluated.out;

  std::string text = folder_.read("train.csv");
  folder_.write("train.csv", text.substr(text.find('\n') + 1));
  folder_.write("index.toml", config("", "index = 0", "index = 1", "index = 2"));
  ASSERT_EQ(run("train index.toml --output index").code, kExitDone);
  EXPECT_EQ(scores("", "index"), expected);
  write_with_first("none.csv", "", "");
  EXPECT_EQ(scores("--data.valid none.csv", "index"), expected);
}

TEST_F(Scoring, KeepsColumnsOfTheInputBesideTheScore) {
  std::istringstream plain(scores("")), input(folder_.read("train.csv"));
  std::string expected, score, record;
  std::getline(input, record);
  while (std::getline(plain, score) && std::getline(input, record)) {
    const std::size_t user = record.find(',') + 1;
    expected += record.substr(user) + "," + score + "\n";
  }
  EXPECT_EQ(scores("--keep user,item"), expected);
  EXPECT_EQ(run("predict --checkpoint out --out scores --keep user,item", mpirun(2)).code,
            kExitDone);
  EXPECT_EQ(folder_.read("scores"), expected);
  EXPECT_NE(scores("--keep usr").find("did you mean \"user\"?"), std::string::npos);
}

TEST_F(Scoring, ClipsRatings) {
  std::istringstream plain(scores(""));
  std::string expected;
  for (std::string line; std::getline(plain, line);) {
    expected += fmt::format("{}\n", std::min(0.25f, std::max(0.125f, std::stof(line))));
  }
  EXPECT_EQ(scores("--clip 0.125,0.25"), expected);
  EXPECT_EQ(run("predict --checkpoint out --out scores --clip 5,1").code, kExitUsage);
}

TEST_F(Scoring, FindsAPlaceThatCannotBeWrittenBeforeItScores) {
  folder_.write("old", "old");
  for (const auto& [out, reason] :
       {std::pair("none/p", "none/p: cannot be written: No such file or directory"),
        {"out", "out: cannot be written: Is a directory"},
        {"train.csv", "train.csv: expected a file to write: found a file of the data, "}}) {
    const Ending refused = run(std::string("predict job.toml --checkpoint out --out ") + out);
    EXPECT_EQ(refused.code, kExitUsage) << out;
    EXPECT_NE(refused.error.find(reason), std::string::npos) << refused.error;
  }
  EXPECT_NE(run("predict job.toml --checkpoint out --out old --split test").code, kExitDone);
  EXPECT_EQ(folder_.read("old"), "old");
  const Ending full = run("predict job.toml --checkpoint out --out /dev/full");
  EXPECT_EQ(full.code, kExitFailure);
  EXPECT_NE(full.error.find("/dev/full: cannot be written whole: No space left on device"),
            std::string::npos)
      << full.error;
}

TEST_F(Scoring, WritesToStandardOutputAndNothingElseThere) {
  const std::string expected = scores("");
  for (const char* out : {"-", "/dev/stdout"}) {
    const Ending done = run(std::string("predict --checkpoint out --out ") + out);
    EXPECT_EQ(done.out, expected) << out;
    EXPECT_NE(done.error.find("48 predictions of out/checkpoints/step-000006"), std::string::npos)
        << done.error;
  }
}

}  // namespace
}  // namespace keyshard::testing
