// The program on lists of ids with weights, a mask and padding, and with tables that are not
// trainable: the same result on any number of ranks and from packed data.
#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

constexpr const char* kListJob = R"(config_version = 1
[job]
batch_size = 32
slices = 4
threads = 1
[data]
train = ["train.csv"]
valid = ["valid.csv"]
test = ["test.csv"]
header = true
[model]
type = "mlp"
hidden = []
optimizer = { type = "sgd", learning_rate = 0.1 }
[embedding]
dim = 4
optimizer = { type = "adagrad", learning_rate = 0.1 }
[[data.columns]]
name = "y"
role = "label"
[[data.columns]]
name = "user"
role = "id"
type = "integer"
[[data.columns]]
name = "items"
role = "ids"
type = "integer"
combiner = "mean"
id_weights = "w"
mask = "m"
padding_id = 0
[[data.columns]]
name = "w"
role = "id_weights"
list_separator = "|"
[[data.columns]]
name = "m"
role = "mask"
)";

class ProgramOnLists : public ProgramTest {
 protected:
  void SetUp() override {
    folder_.write("job.toml", kListJob);
    for (const auto& [name, records] : {std::pair("train.csv", 400), {"valid.csv", 100}}) {
      std::string text = "y,user,items,w,m\n";
      for (int i = 0; i < records; ++i) {
        text += i % 7 == 0 ? fmt::format("{},{},,,\n", i % 2, i % 50)
                           : fmt::format("{},{},{} {} 0,{} -0.5 2,{} 1 1\n", i % 2, i % 50, i % 13,
                                         i % 29, 0.25 * (i % 5), i % 3 == 0 ? 0 : 1);
      }
      for (char& c : text) {
        c = c == ' ' ? '~' : c;
      }
      folder_.write(name, with_separators(text));
    }
    folder_.write("test.csv",
                  "y,user,items,w,m\n"
                  "0,1,5 7,0.5|2,1 1\n"              // all that counts
                  "0,1,5 3 7,0.5|9|2,1 0 1\n"        // one is masked
                  "0,1,0 5 7 0,1|0.5|2|1,1 1 1 1\n"  // two are padding
                  "0,1,5 7,2|0.5,1 1\n");            // other weights
  }

  /// Items of ids and masks stand between blanks, weights between bars.
  static std::string with_separators(const std::string& text) {
    std::string out;
    int cell = 0;
    for (const char c : text) {
      cell = c == '\n' ? 0 : c == ',' ? cell + 1 : cell;
      out += c == '~' ? (cell == 3 ? '|' : ' ') : c;
    }
    return out;
  }

  std::string train(const std::string& options, const std::string& prefix = "") {
    const Ending ending = run("train job.toml " + options, prefix);
    EXPECT_EQ(ending.code, kExitDone) << ending.error;
    return ending.out;
  }
};

TEST_F(ProgramOnLists, TrainsWithTheSameBitsOnAnyNumberOfRanksAndFromPackedData) {
  const std::string digest = digest_in(train("--output one"));
  for (const int ranks : {2, 3}) {
    EXPECT_EQ(digest_in(train(fmt::format("--output on{}", ranks), mpirun(ranks))), digest);
  }
  const Ending converted = run("convert job.toml packed");
  ASSERT_EQ(converted.code, kExitDone) << converted.error;
  EXPECT_EQ(digest_in(train("--output packed-job --set data.format=packed --set data.order=auto "
                            "--set data.train=[\\\"packed/train.h5\\\"] "
                            "--set data.valid=[\\\"packed/valid.h5\\\"]")),
            digest);
}

TEST_F(ProgramOnLists, PredictsByWeightsMaskAndPadding) {
  train("--output out");
  const Ending predicted = run("predict --checkpoint out --split test --out scores.txt");
  ASSERT_EQ(predicted.code, kExitDone) << predicted.error;
  std::istringstream scores(folder_.read("scores.txt"));
  std::string whole, masked, padded, weighed;
  scores >> whole >> masked >> padded >> weighed;
  EXPECT_EQ(masked, whole);
  EXPECT_EQ(padded, whole);
  EXPECT_NE(weighed, whole);
}

TEST_F(ProgramOnLists, ATableThatIsNotTrainableGetsNoRowsUntilAResumeTrainsIt) {
  train("--output out --set tables.items.trainable=false --steps 5");
  const Ending frozen = run("inspect out");
  EXPECT_EQ(count(frozen.out, "\"name\": \"items\",\n      \"rows\": 0"), 1u) << frozen.out;
  EXPECT_EQ(count(frozen.out, "\"name\": \"user\",\n      \"rows\": 0"), 0u) << frozen.out;
  const std::string resumed =
      train("--output out --set tables.items.trainable=true --steps 10 --resume latest");
  EXPECT_EQ(count(resumed,
                  "warning: since the checkpoint, tables.items.trainable was false and is "
                  "true\n"),
            1u)
      << resumed;
  const Ending trained = run("inspect out");
  EXPECT_EQ(count(trained.out, "\"name\": \"items\",\n      \"rows\": 0"), 0u) << trained.out;
}

/// Vectors of some of the items, of width 4.
std::string vectors_of_items() {
  std::string text;
  for (int item = 1; item < 20; ++item) {
    text += fmt::format("{} {} -0.5 0.25 1\n", item, 0.125 * item);
  }
  return text;
}

TEST_F(ProgramOnLists, PretrainedRowsAreTrainedOrStayAsTheyAre) {
  folder_.write("vectors.txt", vectors_of_items());
  const std::string pretrained = " --set tables.items.pretrained=vectors.txt";
  const std::string frozen = pretrained + " --set tables.items.trainable=false";
  const std::string tuned = train("--output tuned" + pretrained);
  EXPECT_EQ(count(tuned, "table items: 19 rows from "), 1u) << tuned;
  const std::string fixed = train("--output fixed" + frozen);
  EXPECT_NE(digest_in(fixed), digest_in(tuned));
  EXPECT_EQ(count(run("inspect fixed").out, "\"name\": \"items\",\n      \"rows\": 19"), 1u);
  EXPECT_EQ(digest_in(train("--output fixed3" + frozen, mpirun(3))), digest_in(fixed));
  EXPECT_EQ(digest_in(train("--output tuned2" + pretrained, mpirun(2))), digest_in(tuned));

  // A resume, a scoring and a job from a checkpoint do not read the file.
  train("--output again --steps 5" + frozen);
  folder_.write("vectors.txt", "no vectors\n");
  EXPECT_EQ(digest_in(train("--output again --resume latest" + frozen, mpirun(2))),
            digest_in(fixed));
  EXPECT_EQ(run("evaluate --checkpoint fixed").code, kExitDone);
  EXPECT_EQ(count(train("--output next --start-from fixed" + pretrained),
                  "warning: no effect: tables.items.pretrained: the rows are those of the "
                  "checkpoint\n"),
            1u);
  const std::string from_job = train("--output job --set tables.items.pretrained=fixed");
  EXPECT_EQ(count(from_job, "table items: 19 rows from "), 1u) << from_job;
}

TEST_F(ProgramOnLists, PretrainedRowsThatDoNotFitAreRefusedOnAllRanks) {
  folder_.write("vectors.txt", vectors_of_items() + "20 1 2\n");
  const std::string options = "train job.toml --set tables.items.pretrained=vectors.txt --output ";
  for (const auto& [output, prefix] : {std::pair("a", std::string()), {"b", mpirun(2)}}) {
    const Ending refused = run(options + output, prefix);
    EXPECT_EQ(refused.code, kExitUsage);
    EXPECT_EQ(count(refused.error,
                    "vectors.txt:20: expected a key and 4 numbers, the dim of table "
                    "items: found 2 numbers"),
              1u)
        << refused.error;
  }
}

}  // namespace
}  // namespace keyshard::testing
