// A number that is not finite ends a job with a message that names the step and the source of that
// number, on any number of ranks.
#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/step/tiny_job.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

/// Sets every number of all rows of some tables.
void assign_all(Trainer<Cpu>& trainer, const std::vector<std::string>& tables, float value) {
  for (const std::string& name : tables) {
    Table<Cpu>& table = trainer.tables().at(name);
    for (std::int64_t s = table.shards().begin; s < table.shards().end; ++s) {
      const std::vector<Key> keys = table.shard_rows(s).keys;
      const std::vector<float> values(keys.size() * static_cast<std::size_t>(table.layout().dim),
                                      value);
      table.assign(trainer.stream(), keys, values.data());
    }
  }
}

/// The error of the tiny job when `harm` is called on every rank after five steps.
std::string complaint(int ranks, const std::function<void(Trainer<Cpu>&)>& harm,
                      const std::vector<std::string>& more = {}) {
  const ScratchFolder folder;
  const JobConfig config = tiny_job(folder.path(""), "auto", 16, more);
  try {
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      Reporter reporter(communicator.rank(), ProgressStyle::off, "");
      TrainingRun run(config, communicator, stream, reporter, nullptr);
      run.run([&] {
        if (run.training().steps() == 5) {
          harm(trainer_of(run));
        }
        return false;
      });
    });
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::non_finite);
    return error.text();
  }
  return "";
}

TEST(NonFinite, EmbeddingsEndAJobWithStepAndFeature) {
  const auto harm = [](Trainer<Cpu>& trainer) {
    assign_all(trainer, {"C4", "C2"}, std::numeric_limits<float>::quiet_NaN());
  };
  for (const int ranks : {1, 2, 3}) {
    EXPECT_EQ(complaint(ranks, harm),
              "step 6: expected a finite loss: found nan; feature C2 has embeddings that are not "
              "finite")
        << ranks;
  }
}

TEST(NonFinite, WeightsEndAJobWithStepAndTheDensePart) {
  const auto harm = [](Trainer<Cpu>& trainer) {
    for (float& weight : trainer.dense().weights().span()) {
      weight = std::numeric_limits<float>::quiet_NaN();
    }
  };
  for (const int ranks : {1, 2, 3}) {
    EXPECT_EQ(
        complaint(ranks, harm),
        "step 6: expected a finite loss: found nan; all embeddings are finite: the dense part "
        "or the data of its columns is not")
        << ranks;
  }
}

TEST(NonFinite, GradientsEndAJobWithStepTableAndFeature) {
  // Products of two embeddings are about 1e30, and so is the error; the gradient of an embedding is
  // the error times the other embedding. The loss stays finite, because it is a double.
  for (const int ranks : {1, 2, 3}) {
    const std::string text = complaint(ranks,
                                       [](Trainer<Cpu>& trainer) {
                                         assign_all(trainer, {"C1", "C2"}, 1e15f);
                                       },
                                       {"model.loss=squared_error"});
    EXPECT_TRUE(text.starts_with("step 6: expected finite gradients: found ")) << text;
    EXPECT_NE(text.find(" of table C"), std::string::npos) << text;
    EXPECT_NE(text.find(", read by C"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace keyshard::testing
