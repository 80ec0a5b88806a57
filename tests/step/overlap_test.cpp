// A job that sends the ids of a batch during the step before it has the result of one that does
// not, whatever happens between two steps: also its ends, its errors and its checkpoints.
#include <atomic>
#include <mutex>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/generated_reader.hpp"
#include "runtime/error.hpp"
#include "tests/step/many_tables.hpp"
#include "tests/step/tiny_job.hpp"
#include "tests/support/delays.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

const bool kInterruptible = pin_interruptible_products();

using Lines = std::vector<std::string>;

Lines with_overlap(Lines lines, int batches = 1) {
  lines.push_back(fmt::format("job.overlap={}", batches));
  return lines;
}

TinyResult train(const Lines& more, int ranks, int threads, const char* exchange = "auto") {
  const ScratchFolder folder;
  return train_on_threads(tiny_job(folder.path(""), exchange, 16, more), ranks, threads);
}

TEST(Overlap, HasTheBitsOfNoOverlapInEveryExchangeMode) {
  const TinyResult expected = train({}, 1, 1);
  for (const char* exchange : {"rows", "reduced", "auto"}) {
    for (const int ranks : {1, 2, 3, 4, 8}) {
      EXPECT_EQ(train(with_overlap({}), ranks, 1 + ranks % 2, exchange), expected)
          << exchange << " on " << ranks << " ranks";
    }
  }
}

/// What a step changes beside values of rows: which rows there are, and what tables know of keys.
TEST(Overlap, HasTheBitsOfNoOverlapWhereRowsLeaveOrAreNotLetIn) {
  for (const Lines& job :
       {Lines{"embedding.restrict_policy=\"timestamp\"", "embedding.max_rows=20",
              "embedding.restrict_every=1", "job.decay=1"},
        Lines{"embedding.admit_after=4"}, Lines{"embedding.admit_probability=0.25"},
        Lines{"embedding.value_dtype=float64", "tables.C2.value_dtype=float16"}}) {
    ::testing::internal::CaptureStdout();
    const TinyResult expected = train(job, 1, 1);
    EXPECT_EQ(train(with_overlap(job), 1, 2), expected) << job.front();
    EXPECT_EQ(train(with_overlap(job), 3, 1), expected) << job.front();
    ::testing::internal::GetCapturedStdout();
  }
}

TEST(Overlap, HasTheBitsOfNoOverlapUnderDelays) {
  const ScratchFolder folder;
  const JobConfig config = tiny_job(folder.path(""), "auto", 16, with_overlap({}));
  const TinyResult expected = train({}, 1, 1);
  const ThreadDelays delays(3);
  for (const int ranks : {2, 3}) {
    run_ranks(ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      DelayedCommunicator delayed(communicator, static_cast<unsigned>(ranks));
      EXPECT_EQ(train_tiny(config, delayed, stream), expected) << ranks;
    });
  }
}

/// Trains 11 of 16 steps, and the rest from the checkpoint.
TinyResult stop_and_resume(int before, int after, int from, int to) {
  const ScratchFolder folder;
  const auto job = [&](Lines more, int batches) {
    return tiny_job(folder.path(""), "auto", 16, with_overlap(std::move(more), batches));
  };
  train_on_threads(job({"job.steps=11"}, before), from, 1, true);
  return train_on_threads(job({}, after), to, 1, false, folder.path("out/checkpoints/step-000011"));
}

TEST(Overlap, MayBeginOrEndAtAResume) {
  const TinyResult whole = train({}, 1, 1);
  EXPECT_EQ(stop_and_resume(1, 1, 2, 3).digest, whole.digest);
  EXPECT_EQ(stop_and_resume(0, 1, 3, 1).digest, whole.digest);
  EXPECT_EQ(stop_and_resume(1, 0, 1, 2).digest, whole.digest);
}

TEST(Overlap, EndsAJobThatStopsEarlyAtTheSameStep) {
  // With learning rates near 0 no evaluation is better than the first.
  const Lines job{"job.patience=2",
                  "job.evaluate_every_steps=3",
                  "model.batch_norm=false",
                  "model.optimizer.learning_rate=1e-30",
                  "embedding.optimizer.learning_rate=1e-30",
                  "embedding.linear.optimizer.learning_rate=1e-30",
                  "tables.C2.optimizer.learning_rate=1e-30"};
  const TinyResult expected = train(job, 1, 1);
  EXPECT_EQ(expected.losses.size(), 8u);
  EXPECT_EQ(train(with_overlap(job), 1, 1), expected);
  EXPECT_EQ(train(with_overlap(job), 3, 1), expected);
}

/// The last step of a job in which one rank wishes to stop in step `wish`.
std::int64_t last_step(int batches, int ranks, std::int64_t wish) {
  const ScratchFolder folder;
  const JobConfig config = tiny_job(folder.path(""), "auto", 16, with_overlap({}, batches));
  std::atomic<std::int64_t> last = 0;  // the same of all ranks
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Reporter reporter(communicator.rank(), ProgressStyle::off, "");
    TrainingRun run(config, communicator, stream, reporter, nullptr);
    const bool wishes = communicator.rank() == ranks - 1;
    const RunEnd end = run.run([&] { return wishes && run.training().steps() + 1 == wish; });
    EXPECT_EQ(end, RunEnd::stopped_by_signal);
    EXPECT_EQ(static_cast<std::int64_t>(run.losses().size()), wish);
    last = run.training().steps();
  });
  return last;
}

TEST(Overlap, EndsAJobAfterTheStepInWhichARankWishesToStop) {
  for (const std::int64_t wish : {1, 2, 8, 9, 16}) {  // the epoch ends at 8, the job at 16
    for (const int ranks : {1, 3}) {
      EXPECT_EQ(last_step(0, ranks, wish), wish);
      EXPECT_EQ(last_step(1, ranks, wish), wish);
    }
  }
}

/// Three batches of a job of several tables, and its trainer on this rank.
struct Steps {
  std::unique_ptr<DataReader> reader;
  std::vector<Batch> batches{3};
  std::unique_ptr<Trainer<Cpu>> trainer;

  Steps(std::int64_t overlap, Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TrainerOptions options = options_of(3);
    options.overlap = overlap;
    const ReadPlan plan{.batch_size = 512, .slices = options.slices, .seed = 1};
    reader = make_generated_reader({.records = 1536}, Split::train, plan, communicator);
    for (Batch& batch : batches) {
      EXPECT_TRUE(reader->next(batch));
    }
    trainer = std::make_unique<Trainer<Cpu>>(options, reader->schema(), communicator, stream);
  }
};

TEST(Overlap, TakesTheExchangesOfIdsOutOfTheStep) {
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Steps none(0, communicator, stream), one(1, communicator, stream);
    const auto exchanges_of = [&](Steps& steps, std::size_t i) {
      const std::uint64_t before = communicator.progress().collectives();
      steps.trainer->step(steps.batches[i], 1, false, {&steps.batches[i + 1]});
      return communicator.progress().collectives() - before;
    };
    EXPECT_EQ(exchanges_of(one, 0), exchanges_of(none, 0) + 1);  // makes the other communicator
    EXPECT_EQ(exchanges_of(one, 1) + 2, exchanges_of(none, 1));  // counts and keys have travelled
  });
}

TEST(Overlap, GivesAStepAsManyLaunches) {
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const auto launches_of = [&](std::int64_t overlap) {
      Steps steps(overlap, communicator, stream);
      steps.trainer->step(steps.batches[0], 1, false, {&steps.batches[1]});
      steps.trainer->step(steps.batches[1], 1, false, {&steps.batches[2]});
      steps.trainer->step(steps.batches[2], 1);
      const StepClock& clock = steps.trainer->clock();
      return std::array{clock.launches(StepPart::lookup), clock.launches(StepPart::model),
                        clock.launches(StepPart::backward), clock.launches(StepPart::update)};
    };
    EXPECT_EQ(launches_of(1), launches_of(0));
  });
}

TEST(Overlap, RefusesAnotherBatchThanTheNextOne) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Steps steps(1, communicator, stream);
    steps.trainer->step(steps.batches[0], 1, false, {&steps.batches[1]});
    EXPECT_THROW(steps.trainer->step(steps.batches[2], 1), Error);
    TrainerOptions options = options_of(1);
    options.overlap = 2;
    EXPECT_THROW(Trainer<Cpu>(options, steps.reader->schema(), communicator, stream), Error);
  });
}

/// One rank cannot read its next batch: the step that runs is made, and the next one fails on all
/// ranks.
TEST(Overlap, ThrowsTheErrorOfABatchInItsOwnStepOnAllRanks) {
  run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Steps steps(1, communicator, stream);
    const Error unread(Kind::io, "train.tsv: cannot be read", __FILE__, __LINE__);
    const bool fails = communicator.rank() == 1;
    EXPECT_NO_THROW(steps.trainer->step(steps.batches[0], 1, false,
                                        fails ? NextBatch{nullptr, std::make_exception_ptr(unread)}
                                              : NextBatch{&steps.batches[1]}));
    EXPECT_EQ(steps.trainer->steps(), 1);
    try {
      steps.trainer->step(steps.batches[1], 1, false, {&steps.batches[2]});
      ADD_FAILURE() << "expected an error on rank " << communicator.rank();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), fails ? Kind::io : Kind::communication);
      EXPECT_NE(error.text().find("train.tsv: cannot be read"), std::string::npos) << error.text();
    }
    EXPECT_EQ(steps.trainer->steps(), 1);
  });
}

/// A step that fails while the next batch is on its way: the same error, and no rank hangs.
TEST(Overlap, LeavesTheErrorsOfAStepAsTheyAre) {
  for (const int ranks : {1, 2, 3}) {
    const auto complaint = [&](std::int64_t overlap) {
      std::string text;
      std::mutex mutex;
      run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
        Steps steps(overlap, communicator, stream);
        steps.trainer->step(steps.batches[0], 1, false, {&steps.batches[1]});
        for (float& weight : steps.trainer->dense().weights().span()) {
          weight = std::numeric_limits<float>::quiet_NaN();
        }
        try {
          steps.trainer->step(steps.batches[1], 1, false, {&steps.batches[2]});
        } catch (const Error& error) {
          const std::lock_guard lock(mutex);
          text = error.text();
        }
      });
      return text;
    };
    EXPECT_TRUE(complaint(0).starts_with("step 2: expected a finite loss: found nan"));
    EXPECT_EQ(complaint(1), complaint(0)) << ranks;
  }
}

/// A rank that leaves alone, while the others are in the middle of a step, ends their waiting.
TEST(Overlap, EndsOnAllRanksWhereOneLeaves) {
  EXPECT_THROW(run_ranks(3, 1,
                         [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
                           Steps steps(1, communicator, stream);
                           steps.trainer->step(steps.batches[0], 1, false, {&steps.batches[1]});
                           require(communicator.rank() != 1, Kind::io,
                                   "the disk of rank 1 is gone");
                           steps.trainer->step(steps.batches[1], 1, false, {&steps.batches[2]});
                         }),
               Error);
}

}  // namespace
}  // namespace keyshard::testing
