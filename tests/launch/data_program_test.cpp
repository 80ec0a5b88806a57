// The program on files of data: packed data trains like its text, predict writes a line per record
// in input order, evaluate shows the metrics of the training, and data may come through a pipe.
#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

/// The rest of the first line that begins with `start`.
std::string after(const std::string& text, const std::string& start) {
  for (const std::string& line : lines_of(text)) {
    const std::size_t at = line.find(start);
    if (at != std::string::npos) {
      return line.substr(at + start.size());
    }
  }
  return "no " + start + " in: " + text;
}

/// A generated click log, and a logistic regression on that log: the bits of its scores do not
/// depend on the place of a sample in a batch.
class ProgramOnData : public ProgramTest {
 protected:
  static constexpr std::int64_t kValid = 301;

  void SetUp() override {
    const Ending generated =
        run("generate data --records 2000 --valid-records 301 --features 3 --ragged 1 --dense 1 "
            "--vocabulary 40");
    ASSERT_EQ(generated.code, kExitDone) << generated.error;
    EXPECT_NE(generated.out.find("best possible validation AUC 0."), std::string::npos)
        << generated.out;
    std::string config = folder_.read("data/click-log.toml");
    for (const auto& [from, to] :
         {std::pair<std::string, std::string>("\"deepfm\"\nhidden = [128, 64]", "\"logistic\""),
          {"batch_size = 4096", "batch_size = 256\nthreads = 1"}}) {
      config.replace(config.find(from), from.size(), to);
    }
    folder_.write("data/click-log.toml", config);
  }

  /// Trains one epoch; returns what was shown.
  std::string train(const std::string& output, const std::string& options = "",
                    const std::string& prefix = "") {
    const Ending trained = run(
        "train data/click-log.toml --set data.block_bytes=4096 --output " + output + " " + options,
        prefix);
    EXPECT_EQ(trained.code, kExitDone) << trained.error;
    return trained.out;
  }

  std::vector<std::string> predict(const std::string& options, const std::string& prefix = "") {
    const Ending done =
        run("predict data/click-log.toml --checkpoint out --out scores.txt " + options, prefix);
    EXPECT_EQ(done.code, kExitDone) << done.error;
    return lines_of(folder_.read("scores.txt"));
  }
};

TEST_F(ProgramOnData, PacksTextThatTrainsToTheSameDigest) {
  const std::string text = train("out");
  const Ending packed = run("convert data/click-log.toml data/packed --set data.block_bytes=4096");
  ASSERT_EQ(packed.code, kExitDone) << packed.error;
  EXPECT_NE(packed.out.find("data/packed/train.h5: 2000 samples, "), std::string::npos)
      << packed.out;
  EXPECT_NE(packed.out.find("data/packed/valid.h5: 301 samples, "), std::string::npos)
      << packed.out;

  const std::string files =
      "--set data.format=packed --set 'data.train=[\"packed/train.h5\"]' "
      "--set 'data.valid=[\"packed/valid.h5\"]'";
  EXPECT_EQ(digest_in(train("one", files)), digest_in(text));
  EXPECT_EQ(digest_in(train("two", files, mpirun(2))), digest_in(text));
}

/// A configuration of parts with a header, a column "item/cat" and labels of the words yes and no.
constexpr const char* kParts = R"(config_version = 1
[job]
output = "parts-out"
batch_size = 16
slices = 4
threads = 1
[data]
train = ["parts"]
header = true
[model]
type = "fm"
[embedding]
dim = 4
[[data.columns]]
name = "click"
role = "label"
positive = ["yes"]
[[data.columns]]
name = "item/cat"
role = "id"
)";

TEST_F(ProgramTest, TellsWhichPartsItSkipsAndKeepsColumnsOfAnyName) {
  std::string part = "click,item/cat\n";
  for (int i = 0; i < 40; ++i) {
    part += std::string(i % 3 == 0 ? "yes" : "no") + ",i" + std::to_string(i % 7) + "\n";
  }
  ASSERT_EQ(shell("mkdir parts").code, 0);
  folder_.write("parts/part-0", part);
  folder_.write("parts/part-1", "");
  folder_.write("parts/part-2", "click,item/cat\n");
  folder_.write("parts/_SUCCESS", "");
  folder_.write("parts.toml", kParts);
  const Ending trained = run("train parts.toml");
  ASSERT_EQ(trained.code, kExitDone) << trained.error;
  EXPECT_NE(trained.out.find("data.train: 2 of 3 files have no records and are skipped: "),
            std::string::npos)
      << trained.out;
  EXPECT_NE(trained.out.find("data.train: markers and hidden files are skipped (1): "),
            std::string::npos);
  EXPECT_EQ(trained.out.find("\\x0a"), std::string::npos) << "a line each: " << trained.out;
  EXPECT_EQ(trained.out.find("warning"), std::string::npos) << trained.out;
  EXPECT_EQ(run("train parts.toml --resume latest --set job.epochs=2").code, kExitDone);
  EXPECT_NE(run("inspect parts-out").out.find("\"item/cat\""), std::string::npos);
}

TEST_F(ProgramTest, TellsLabelsOfOneClassAndRefusesThoseThatTheLossCannotUse) {
  ASSERT_EQ(shell("mkdir parts").code, 0);
  folder_.write("parts/part-0", "click,item/cat\n1,a\n-1,b\n1,a\n-1,c\n");
  folder_.write("parts.toml", kParts);
  const Ending none = run("train parts.toml");
  ASSERT_EQ(none.code, kExitDone) << none.error;
  EXPECT_EQ(count(none.out,
                  "warning: data.train: no cell of column \"click\" is one of positive = "
                  "[\"yes\"], so all 4 labels are 0"),
            1u)
      << none.out;

  std::string config = kParts;
  config.erase(config.find("positive"), std::string("positive = [\"yes\"]").size());
  folder_.write("numbers.toml", config);
  const Ending refused = run("train numbers.toml --output numbers");
  EXPECT_EQ(refused.code, kExitUsage);
  EXPECT_NE(refused.error.find("part-0:3: column \"click\": expected a label from 0 to 1, for log "
                               "loss needs such: found \"-1\"; positive = "),
            std::string::npos)
      << refused.error;
  EXPECT_EQ(run("train numbers.toml --output squared --set model.loss=squared_error").code,
            kExitDone);
}

TEST_F(ProgramTest, ABadLabelThatComesLateCostsTheStepsSinceTheLastSave) {
  // 4 steps, each with 4 records of each quarter of the file; the last step has record 62.
  std::string part = "click,item/cat\n";
  for (int i = 0; i < 64; ++i) {
    part += fmt::format("{},i{}\n", i == 62 ? -1 : i % 2, i % 7);
  }
  ASSERT_EQ(shell("mkdir parts").code, 0);
  folder_.write("parts/part-0", part);
  std::string config = kParts;
  config.erase(config.find("positive"), std::string("positive = [\"yes\"]").size());
  folder_.write("numbers.toml", config + "[checkpoint]\nevery_steps = 3\n");
  const std::string train = "train numbers.toml --set data.shuffle=false ";
  const Ending ended = run(train + "--output out");
  EXPECT_EQ(ended.code, kExitUsage);
  EXPECT_NE(ended.error.find("part-0:64: column \"click\": expected a label from 0 to 1"),
            std::string::npos)
      << ended.error;
  EXPECT_TRUE(exists("out/checkpoints/step-000003/manifest.json"));
  const Ending resumed = run(train + "--output out --resume latest --set data.max_bad_lines=1");
  ASSERT_EQ(resumed.code, kExitDone) << resumed.error;
  const Ending allowed = run(train + "--output allowed --set data.max_bad_lines=1");
  EXPECT_EQ(digest_in(resumed.out), digest_in(allowed.out));
}

TEST_F(ProgramOnData, PacksOnOneRankOnly) {
  const Ending two = run("convert data/click-log.toml data/packed", mpirun(2));
  EXPECT_NE(two.code, kExitDone);
  EXPECT_EQ(count(two.error, "expected one rank to convert data: found 2"), 1u) << two.error;
}

TEST_F(ProgramOnData, PredictsALinePerRecordInInputOrder) {
  train("out");
  const std::vector<std::string> scores = predict("");
  ASSERT_EQ(scores.size(), static_cast<std::size_t>(kValid));

  // The same records from last to first.
  std::vector<std::string> records = lines_of(folder_.read("data/valid.tsv"));
  std::string reversed;
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    reversed += *record + "\n";
  }
  folder_.write("data/reversed.tsv", reversed);
  ASSERT_EQ(shell("gzip -k data/valid.tsv data/reversed.tsv").code, 0);
  const std::string other = "--set 'data.valid=[\"reversed.tsv";

  EXPECT_EQ(predict("", mpirun(3)), scores);
  EXPECT_EQ(predict("--set 'data.valid=[\"valid.tsv.gz\"]'", mpirun(3)), scores);
  EXPECT_EQ(predict("--set 'data.valid=[\"valid.tsv.gz\"]' --set data.order=stream", mpirun(2)),
            scores);
  const std::vector<std::string> backwards(scores.rbegin(), scores.rend());
  EXPECT_NE(backwards, scores);
  EXPECT_EQ(predict(other + "\"]'", mpirun(3)), backwards);
  EXPECT_EQ(predict(other + ".gz\"]'"), backwards);
}

TEST_F(ProgramOnData, PredictsNoNumberForABadLineAndKeepsItsPlace) {
  train("out");
  const std::vector<std::string> scores = predict("");
  std::vector<std::string> records = lines_of(folder_.read("data/valid.tsv"));
  records[100] = "no record";
  std::string text;
  for (const std::string& record : records) {
    text += record + "\n";
  }
  folder_.write("data/valid.tsv", text);

  std::vector<std::string> expected = scores;
  expected[100] = "nan";
  EXPECT_EQ(predict("--set data.max_bad_lines=1"), expected);
  EXPECT_EQ(predict("--set data.max_bad_lines=1", mpirun(3)), expected);
  const Ending refused =
      run("predict data/click-log.toml --checkpoint out --out none.txt", mpirun(2));
  EXPECT_EQ(refused.code, kExitUsage);
  EXPECT_NE(refused.error.find("valid.tsv:101: "), std::string::npos) << refused.error;
  EXPECT_FALSE(exists("none.txt"));
}

TEST_F(ProgramOnData, EvaluatesToTheMetricsThatTheTrainingHasShown) {
  const std::string shown = after(train("out"), "valid: ");
  for (const std::string& prefix : {std::string(), mpirun(3)}) {
    const Ending done = run("evaluate data/click-log.toml --checkpoint out", prefix);
    EXPECT_EQ(done.code, kExitDone) << done.error;
    EXPECT_EQ(after(done.out, "301 samples, ") + " (best)", shown);
  }
}

TEST_F(ProgramOnData, TrainsFromStandardInput) {
  const std::string digest = digest_in(train("out"));
  folder_.write("train.sh", "cat data/train.tsv | " + mpirun(2) +
                                " " KEYSHARD_PROGRAM
                                " train data/click-log.toml --set data.block_bytes=4096 --set "
                                "'data.train=[\"-\"]' --output two\n");
  const Ending two = shell("sh train.sh");
  ASSERT_EQ(two.code, kExitDone) << two.error;
  EXPECT_EQ(digest_in(two.out), digest);
}

}  // namespace
}  // namespace keyshard::testing
