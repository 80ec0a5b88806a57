// The program of docs/models.md, which scores records from the files of a checkpoint alone.
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

std::string documented_program() {
  std::ifstream in(KEYSHARD_MODELS_DOC);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::string fence = "```python\n";
  const std::size_t begin = text.find(fence) + fence.size();
  return text.substr(begin, text.find("```", begin) - begin);
}

std::vector<double> numbers_of(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<double>(in), {}};
}

class ModelsDoc : public ProgramTest {
 protected:
  void SetUp() override {
    if (shell("/usr/bin/python3 -c 'import h5py, numpy'").code != 0) {
      GTEST_SKIP() << "needs python3-h5py";
    }
    std::string text = "click,user,item,tags,age\n";
    for (int i = 0; i < 96; ++i) {
      const char* tags[] = {"", "1", "3 1", "2 5 8"};
      text += fmt::format("{},{},{},{},{}\n", i * 5 % 11 < 5 ? 1 : 0, i * 7 % 13, 100 + i % 17,
                          tags[i % 4], i % 10 / 10.0);
    }
    folder_.write("data.csv", text);
    folder_.write("score.py", documented_program());
  }

  static std::string config(const std::string& model) {
    std::string columns;
    for (const char* column :
         {"\"click\"\nrole = \"label\"", "\"user\"\nrole = \"id\"\ntype = \"integer\"",
          "\"item\"\nrole = \"id\"\ntype = \"integer\"",
          "\"tags\"\nrole = \"ids\"\ntype = \"integer\"\nlist_separator = \" \"",
          "\"age\"\nrole = \"dense\""}) {
      columns += fmt::format("[[data.columns]]\nname = {}\n", column);
    }
    return fmt::format(R"(config_version = 1
[job]
epochs = 8
batch_size = 48
slices = 4
threads = 1
[data]
train = ["data.csv"]
header = true
[model]
{}
optimizer = {{ type = "adam", learning_rate = 0.05 }}
[embedding]
dim = 4
optimizer = {{ type = "adagrad", learning_rate = 0.5 }}
{})",
                       model, columns);
  }
};

TEST_F(ModelsDoc, ScoresRecordsFromTheFilesOfACheckpointAlone) {
  for (const char* model : {"type = \"deepfm\"\nhidden = [6, 5]\nbatch_norm = true",
                            "type = \"widedeep\"\nhidden = [6]", "type = \"fm\""}) {
    folder_.write("job.toml", config(model));
    const bool batch_norm = std::string(model).find("batch_norm") != std::string::npos;
    const Ending trained =
        run("train job.toml --overwrite --output out", batch_norm ? mpirun(2) : "");
    ASSERT_EQ(trained.code, kExitDone) << trained.error;
    const Ending predicted = run("predict --checkpoint out --split train --out scores");
    ASSERT_EQ(predicted.code, kExitDone) << predicted.error;
    const std::vector<double> expected = numbers_of(folder_.read("scores"));
    const Ending scored =
        shell("/usr/bin/python3 score.py out/" +
              fmt::format("checkpoints/{} ", checkpoints("out").back()) + "data.csv");
    ASSERT_EQ(scored.code, 0) << model << scored.error;
    const std::vector<double> found = numbers_of(scored.out);
    ASSERT_EQ(found.size(), 96u) << model;
    ASSERT_EQ(expected.size(), 96u) << model;
    double spread = 0;
    for (std::size_t i = 0; i < 96; ++i) {
      EXPECT_NEAR(found[i], expected[i], 5e-6) << model << ", record " << i;
      spread = std::fmax(spread, std::fabs(expected[i] - expected[0]));
    }
    EXPECT_GT(spread, 0.1) << model;

    folder_.write("new.csv", "click,user,item,tags,age\n1,77,100,1,0.5\n");
    const Ending unknown =
        shell("/usr/bin/python3 score.py out/" +
              fmt::format("checkpoints/{} ", checkpoints("out").back()) + "new.csv");
    EXPECT_EQ(unknown.code, 1);
    EXPECT_EQ(unknown.error,
              "column user: expected an id with a row in the checkpoint: found 77\n");
  }
}

}  // namespace
}  // namespace keyshard::testing
