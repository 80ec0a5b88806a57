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

}  // namespace
}  // namespace keyshard::testing
