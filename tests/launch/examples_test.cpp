// Every example trains as it stands, on its sample, for whoever has cloned the project.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "launch/job_file.hpp"
#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

constexpr const char* kExamples = KEYSHARD_LAUNCH_DIR "/examples";

/// The paths of all examples but that of the quickstart, whose data a script generates.
std::vector<std::string> examples() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(kExamples)) {
    if (entry.path().extension() == ".toml" && entry.path().stem() != "quickstart") {
      paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

class Examples : public ProgramTest {
 protected:
  void expect_training(const std::string& example, const std::string& options) {
    const Ending trained =
        run(fmt::format("train '{}' --output out --overwrite {}", example, options));
    EXPECT_EQ(trained.code, kExitDone) << example << trained.error;
    EXPECT_NE(digest_in(trained.out), "") << trained.out;
  }
};

TEST_F(Examples, NameFilesThatLieBesideThem) {
  ASSERT_FALSE(examples().empty());
  for (const std::string& path : examples()) {
    const JobConfig config = read_job_config(path, {});
    for (const Split split : {Split::train, Split::valid}) {
      ASSERT_FALSE(config.data.files(split).empty()) << path;
      for (const std::string& file : config.data.files(split)) {
        const auto from_here =
            std::filesystem::path(file).lexically_normal().lexically_relative(kExamples);
        EXPECT_EQ(from_here.begin()->string(), "sample") << file;
        EXPECT_TRUE(std::filesystem::exists(file)) << file;
      }
    }
  }
}

TEST_F(Examples, TrainOnTheirSamples) {
  for (const std::string& path : examples()) {
    expect_training(path, "--steps 3 --set job.batch_size=64");
  }
}

TEST_F(Examples, OfTheQuickstartTrainsOnAGeneratedLog) {
  ASSERT_EQ(run("generate log --records 256 --valid-records 64").code, kExitDone);
  expect_training(std::string(kExamples) + "/quickstart.toml", "--steps 3 --data.folder log");
}

TEST_F(Examples, HaveTheSamplesThatTheirScriptMakes) {
  const Ending made =
      shell(fmt::format("'{0}/make-samples.sh' made && diff -r made '{0}/sample'", kExamples));
  EXPECT_EQ(made.code, 0) << made.out << made.error;
}

}  // namespace
}  // namespace keyshard::testing
