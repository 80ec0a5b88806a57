// The examples over lists on real data: prepared by the script, they learn which item belongs to a
// list, far beyond what weights of single items do. Skipped where ../shared is absent.
#include <filesystem>

#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"
#include "tests/support/shared_folder.hpp"

namespace keyshard::testing {
namespace {

class ListExamples : public ProgramTest {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(shared_folder() + "/data")) {
      GTEST_SKIP() << "../shared/data is absent";
    }
  }

  void prepare(const std::string& data) {
    const Ending prepared =
        shell(fmt::format("'{0}/examples/prepare-lists.sh' {1} '{2}/data/{1}' .",
                          KEYSHARD_LAUNCH_DIR, data, shared_folder()));
    ASSERT_EQ(prepared.code, 0) << prepared.error;
  }

  std::string train(const std::string& example, const std::string& options,
                    const std::string& prefix = "") {
    const Ending trained =
        run(fmt::format("train '{}/examples/{}.toml' --output out --overwrite --data.folder . {}",
                        KEYSHARD_LAUNCH_DIR, example, options),
            prefix);
    EXPECT_EQ(trained.code, kExitDone) << trained.error;
    return trained.out;
  }

  /// The AUC after 300 steps, on average over three seeds.
  double auc_of(const std::string& example, const std::string& options = "") {
    double sum = 0;
    for (int seed = 1; seed <= 3; ++seed) {
      const std::string out =
          train(example, fmt::format("--steps 300 --set job.seed={} {}", seed, options));
      const std::size_t at = out.rfind("valid: auc ");
      EXPECT_NE(at, std::string::npos) << out;
      sum += at == std::string::npos ? 0 : std::stod(out.substr(at + 11));
    }
    return sum / 3;
  }
};

TEST_F(ListExamples, LearnWhichAreaBelongsToTheVisitedOnes) {
  prepare("msweb");
  EXPECT_GE(auc_of("msweb-lists"), 0.79);
  EXPECT_LE(auc_of("msweb-lists", "--set model.type=logistic"), 0.6);
}

TEST_F(ListExamples, LearnWhichFilmBelongsToTheRatedOnes) {
  prepare("ml1m_m1");
  EXPECT_GE(auc_of("ml1m-lists"), 0.65);
  EXPECT_LE(auc_of("ml1m-lists", "--set model.type=logistic"), 0.6);
}

TEST_F(ListExamples, HaveTheSameBitsOnTwoRanks) {
  prepare("msweb");
  EXPECT_EQ(digest_in(train("msweb-lists", "--steps 20", mpirun(2))),
            digest_in(train("msweb-lists", "--steps 20")));
}

}  // namespace
}  // namespace keyshard::testing
