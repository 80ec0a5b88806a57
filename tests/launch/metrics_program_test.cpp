// Metrics of groups and values as a user asks for them: in train and evaluate, on any number of
// ranks; and the same of a model with cross layers.
#include <sstream>

#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

constexpr const char* kJob = R"(config_version = 1
[job]
epochs = 3
batch_size = 48
slices = 4
threads = 1
metric = "gauc"
patience = 5
metrics = { gauc = "user", by = "kind", most = 2 }
[data]
train = ["data.csv"]
valid = ["data.csv"]
header = true
[model]
type = "logistic"
[embedding]
optimizer = { type = "adagrad", learning_rate = 0.1 }
[[data.columns]]
name = "click"
role = "label"
[[data.columns]]
name = "user"
role = "id"
type = "integer"
[[data.columns]]
name = "kind"
role = "id"
[[data.columns]]
name = "tags"
role = "ids"
list_separator = " "
)";

/// Clicks of users on kinds of things, one of which has no clicks.
class MetricsProgram : public ProgramTest {
 protected:
  void SetUp() override {
    std::string text = "click,user,kind,tags\n";
    for (int i = 0; i < 240; ++i) {
      const char* kind = i % 12 == 0 ? "" : i % 7 == 0 ? "red bus" : i % 3 == 0 ? "car" : "tram";
      const bool click = i % 12 != 0 && i * 5 % 11 < 5;
      text += fmt::format("{},{},{},a b\n", click ? 1 : 0, i * 7 % 31, kind);
    }
    folder_.write("data.csv", text);
    folder_.write("job.toml", kJob);
  }

  /// The lines of metrics.jsonl with evaluations.
  std::string evaluations(const std::string& output) {
    std::istringstream lines(folder_.read(output + "/metrics.jsonl"));
    std::string found;
    for (std::string line; std::getline(lines, line);) {
      found += line.find("\"kind\":\"valid\"") != std::string::npos ? line + "\n" : "";
    }
    return found;
  }
};

TEST_F(MetricsProgram, OfGroupsAndValuesAreTheSameOnAnyNumberOfRanks) {
  const Ending one = run("train job.toml --output one");
  ASSERT_EQ(one.code, kExitDone) << one.error;
  EXPECT_EQ(count(one.out, ", gauc 0."), 9u) << one.out;  // of all, and of two values, thrice
  EXPECT_EQ(count(one.out, "  kind = tram: "), 3u) << one.out;
  EXPECT_EQ(count(one.out, "  kind = car: "), 3u) << one.out;
  EXPECT_EQ(count(one.out, "  kind: 2 more values with "), 3u) << one.out;
  EXPECT_EQ(count(one.out, "calibration "), 9u) << one.out;
  const Ending three = run("train job.toml --output three", mpirun(3));
  ASSERT_EQ(three.code, kExitDone) << three.error;
  EXPECT_NE(evaluations("one"), "");
  EXPECT_EQ(evaluations("three"), evaluations("one"));

  const std::string all = " --checkpoint one --set job.metrics.most=9";
  const Ending scored = run("evaluate" + all);
  EXPECT_EQ(scored.code, kExitDone) << scored.error;
  EXPECT_NE(scored.out.find("  kind = red bus: "), std::string::npos) << scored.out;
  EXPECT_NE(scored.out.find("  kind missing: 20 samples, auc undefined, log loss "),
            std::string::npos)
      << scored.out;
  EXPECT_EQ(run("evaluate" + all, mpirun(2)).out, scored.out);
}

TEST_F(MetricsProgram, OfCrossLayersAreTheSameOnAnyNumberOfRanks) {
  for (const std::string structure : {"stacked", "parallel --set model.cross_rank=3"}) {
    const std::string train =
        "train job.toml --overwrite --set model.type=dcnv2 --set model.hidden=[8] --set "
        "embedding.dim=4 --set model.structure=" +
        structure;
    const Ending one = run(train + " --output one");
    ASSERT_EQ(one.code, kExitDone) << one.error;
    const Ending three = run(train + " --output three", mpirun(3));
    ASSERT_EQ(three.code, kExitDone) << three.error;
    EXPECT_EQ(digest_in(three.out), digest_in(one.out)) << structure;
    EXPECT_EQ(evaluations("three"), evaluations("one")) << structure;
  }
}

TEST_F(MetricsProgram, NameColumnsOfOneIdAndADirection) {
  const Ending list = run("train job.toml --output a --set job.metrics.by=tags");
  EXPECT_EQ(list.code, kExitUsage);
  EXPECT_NE(list.error.find("job.metrics.by: expected a column of one id (role = \"id\"): found "
                            "\"tags\", a list"),
            std::string::npos)
      << list.error;
  const Ending calibration = run("train job.toml --output a --set job.metric=calibration");
  EXPECT_EQ(calibration.code, kExitUsage);
  EXPECT_NE(calibration.error.find("found \"calibration\""), std::string::npos)
      << calibration.error;
  folder_.write("alike.csv", "click,user,kind,tags\n1,1,car,a\n0,2,car,a\n1,1,car,a\n0,2,car,a\n");
  const Ending undefined = run("train job.toml --output a --set data.valid=[\\\"alike.csv\\\"]");
  EXPECT_EQ(undefined.code, kExitUsage) << undefined.out;
  EXPECT_NE(undefined.error.find("gauc is undefined on the validation data: 4 samples, no group of "
                                 "job.metrics.gauc with labels of both classes"),
            std::string::npos)
      << undefined.error;
}

}  // namespace
}  // namespace keyshard::testing
