// Which samples are new: counted by hand on small text, on any number of ranks.
#include "launch/training/unseen_ids.hpp"

#include <fstream>

#include <gtest/gtest.h>

#include "io/make_reader.hpp"
#include "launch/job_file.hpp"
#include "launch/training/evaluation.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

constexpr const char* kConfig = R"(
config_version = 1
[job]
batch_size = 4
slices = 4
unseen = ["user", "items"]
[data]
train = ["train.csv"]
valid = ["valid.csv"]
[[data.columns]]
name = "label"
index = 0
role = "label"
[[data.columns]]
name = "user"
index = 1
role = "id"
[[data.columns]]
name = "items"
index = 2
role = "ids"
[[data.columns]]
name = "hour"
index = 3
role = "id"
[model]
type = "logistic"
)";

class UnseenIdsOfText : public ::testing::Test {
 protected:
  void SetUp() override {
    write("job.toml", kConfig);
    write("train.csv", "1,a,x,1\n0,a,y z,1\n1,b,,1\n0,b,x,2\n1,c,z y,1\n");
    // Positive in training are (a, x), (b, nothing) and (c, z y), where order counts.
    write("valid.csv",
          "1,a,x,9\n0,c,y z,1\n0,b,,1\n1,b,y,1\n1,a,y z,1\n0,c,y z,2\n1,a,,1\n0,b,x,1\n1,b,y,3\n");
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_.path(name)) << text;
  }

  JobConfig config(const std::vector<std::string>& more = {}) const {
    return read_job_config(folder_.path("job.toml"), more);
  }

  /// Calls body(communicator, stream, job, reader, ids) on ranks, with the ids that are new in the
  /// evaluated data.
  template <class Body>
  void with_unseen(int ranks, const Body& body) const {
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      const JobConfig job = config();
      const auto reader =
          make_reader(job.data, Split::valid, read_plan(job, false), communicator, stream);
      body(communicator, stream, job, *reader, UnseenIds(job, *reader, communicator, stream));
    });
  }

  ScratchFolder folder_;
};

TEST_F(UnseenIdsOfText, AreTheCombinationsThatNoPositiveTrainingSampleHas) {
  for (const int ranks : {1, 2, 3}) {
    std::vector<char> unseen(9);
    with_unseen(ranks, [&](auto&, auto&, const JobConfig&, DataReader& reader,
                           const UnseenIds& ids) {
      Batch batch;
      while (reader.next(batch)) {
        for (std::int64_t s = 0; s < batch.samples(); ++s) {
          const auto record = static_cast<std::size_t>(batch.records[static_cast<std::size_t>(s)]);
          unseen[record] = ids.contains(batch, s) ? 1 : 0;
        }
      }
    });
    EXPECT_EQ(unseen, (std::vector<char>{0, 1, 0, 1, 1, 1, 1, 1, 1})) << ranks;
  }
}

TEST_F(UnseenIdsOfText, HaveMetricsOfTheirOwnThatAreTheSameOnAnyNumberOfRanks) {
  std::vector<SplitMetrics> all;
  for (const int ranks : {1, 2, 3}) {
    with_unseen(ranks, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                           const JobConfig& job, DataReader& reader, const UnseenIds& ids) {
      Trainer<Cpu> trainer(trainer_options(job), reader.schema(), communicator, stream);
      const SplitMetrics metrics = evaluate_split(trainer, reader, {&ids});
      if (communicator.rank() == 0) {
        all.push_back(metrics);
      }
    });
  }
  for (const SplitMetrics& metrics : all) {
    EXPECT_EQ(metrics.all.samples, 9);
    ASSERT_TRUE(metrics.unseen);
    EXPECT_EQ(metrics.unseen->samples, 7);
    EXPECT_EQ(metrics.unseen->mean_label, 4.0 / 7);
    EXPECT_EQ(metrics.unseen->loss, all.front().unseen->loss);
    EXPECT_EQ(metrics.unseen->auc, all.front().unseen->auc);
  }
}

TEST_F(UnseenIdsOfText, OfTrainingDataFromAPipeAreRefused) {
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    JobConfig job = config();
    const auto reader =
        make_reader(job.data, Split::valid, read_plan(job, false), communicator, stream);
    job.data.train = {"-"};
    try {
      const UnseenIds ids(job, *reader, communicator, stream);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::invalid_argument);
      EXPECT_NE(error.text().find("-: expected a file"), std::string::npos) << error.text();
    }
  });
}

TEST_F(UnseenIdsOfText, OfAColumnThatIsNoFeatureAreRefused) {
  try {
    config({"job.unseen=[\"user\",\"item\"]"});
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(error.text().find("found \"item\"; did you mean \"items\"?"), std::string::npos)
        << error.text();
  }
}

}  // namespace
}  // namespace keyshard::testing
