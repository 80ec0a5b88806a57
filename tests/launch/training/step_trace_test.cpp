// Traces of whole trainings: the same on any number of ranks and threads; and a run that was
// changed is found at the step, stage and tensor of the change.
#include "launch/training/step_trace.hpp"

#include <functional>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/step/tiny_job.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

/// Called on every rank before each step, with the steps that are done.
using BeforeStep = std::function<void(Trainer<Cpu>& trainer)>;

class StepTraces : public ::testing::Test {
 protected:
  JobConfig job(const std::vector<std::string>& more = {}) const {
    return tiny_job(folder_.path(""), "auto", 16, more);
  }

  /// Trains and writes the trace, or compares with it.
  void trace(const JobConfig& config, int ranks = 1, int threads = 1,
             const BeforeStep& before = {}) {
    run_ranks(ranks, threads, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      Reporter reporter(communicator.rank(), ProgressStyle::off, "");
      TrainingRun run(config, communicator, stream, reporter, nullptr);
      run.training().trace_into(folder_.path("trace.txt"));
      run.run([&] {
        if (before) {
          before(trainer_of(run));
        }
        return false;
      });
    });
  }

  /// "step 5, batch, ids" of the first difference.
  std::string first_difference(const JobConfig& config, int ranks = 1, int threads = 1,
                               const BeforeStep& before = {}) {
    try {
      trace(config, ranks, threads, before);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::other_bits);
      const std::size_t begin = error.text().find("step "), end = error.text().find(": expected");
      return error.text().substr(begin, end - begin);
    }
    return "none";
  }

  ScratchFolder folder_;
};

TEST_F(StepTraces, AreTheSameOnAnyNumberOfRanksAndThreads) {
  trace(job());

  for (const int ranks : {1, 2, 3}) {
    for (const int threads : {1, 2}) {
      EXPECT_EQ(first_difference(job(), ranks, threads), "none") << ranks << " x " << threads;
    }
  }
  EXPECT_EQ(first_difference(tiny_job(folder_.path(""), "rows", 16), 2), "none");
}

TEST_F(StepTraces, NameTheStageThatAnotherConfigurationChangesFirst) {
  trace(job());

  EXPECT_EQ(first_difference(job({"job.seed=6"})), "step 1, batch, records");
  EXPECT_EQ(first_difference(job({"data.generator.seed=4"}), 2), "step 1, batch, labels");
  EXPECT_EQ(first_difference(job({"embedding.initializer.stddev=0.06"}), 2),
            "step 1, pooled, factors");
  EXPECT_EQ(first_difference(job({"model.dropout=0.2"}), 3), "step 1, gradients, loss");
  EXPECT_EQ(first_difference(job({"model.optimizer.learning_rate=0.02"})),
            "step 1, update, dense weights");
  EXPECT_EQ(first_difference(job({"tables.C2.optimizer.learning_rate=0.06"}), 2),
            "step 1, update, table C2");
}

TEST_F(StepTraces, NameTheStepAtWhichAWeightIsChanged) {
  trace(job());

  const BeforeStep poke = [](Trainer<Cpu>& trainer) {
    if (trainer.steps() == 4) {
      trainer.dense().weights()[3] += 1;
    }
  };
  EXPECT_EQ(first_difference(job(), 2, 1, poke), "step 5, gradients, loss");
}

TEST_F(StepTraces, NameTheTableOfWhichARowIsChanged) {
  trace(job());

  // No batch has this key, so the first tensor that differs is its table.
  const BeforeStep poke = [](Trainer<Cpu>& trainer) {
    Table<Cpu>& table = trainer.tables().at("C3");
    const Key key = 1'000'000;
    if (trainer.steps() == 6 && table.shards().contains(shard_of(table.partitioner(), key))) {
      const std::vector<float> row(static_cast<std::size_t>(table.layout().dim), 1.0f);
      table.assign(trainer.stream(), Span<const Key>(&key, 1), row.data());
    }
  };
  EXPECT_EQ(first_difference(job(), 3, 1, poke), "step 7, update, table C3");
}

}  // namespace
}  // namespace keyshard::testing
