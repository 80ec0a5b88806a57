// A job that is saved in the middle of an epoch on N ranks and resumed on M, for all pairs of 1, 2,
// 3, 4, 8, has the digest of a job that never stopped; on generated, text, compressed and packed
// data.
#include <cmath>
#include <cstdlib>
#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "embedding/stores/make_store.hpp"
#include "io/generated_reader.hpp"
#include "io/packed_writer.hpp"
#include "runtime/error.hpp"
#include "tests/step/tiny_job.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

constexpr std::int64_t kStopAt = 11;  // of 16 steps; the epoch ends at 8

/// Trains to kStopAt on `from` ranks, then resumes from the checkpoint on `to` ranks, with `more`
/// added to the configuration.
TinyResult stop_and_resume(const std::vector<std::string>& data, int from, int to,
                           const std::vector<std::string>& more = {}) {
  const ScratchFolder folder;
  std::vector<std::string> stopped = data, resumed = data;
  stopped.push_back(fmt::format("job.steps={}", kStopAt));
  resumed.insert(resumed.end(), more.begin(), more.end());
  const std::string saved = fmt::format("{}/checkpoints/step-{:06}", folder.path("out"), kStopAt);
  const JobConfig until = tiny_job(folder.path(""), "auto", 16, stopped);
  const std::string digest = train_on_threads(until, from, 1, true).digest;
  EXPECT_EQ(train_on_threads(until, to, 1, false, saved).digest, digest) << "right after loading";
  return train_on_threads(tiny_job(folder.path(""), "rows", 16, resumed), to, 1, true, saved);
}

TEST(Resume, OnAnyNumberOfRanksHasTheDigestOfNeverHavingStopped) {
  const ScratchFolder folder;
  const TinyResult whole = train_on_threads(tiny_job(folder.path(""), "rows", 16), 1, 1);

  for (const int from : {1, 2, 3, 4, 8}) {
    for (const int to : {1, 2, 3, 4, 8}) {
      const TinyResult resumed = stop_and_resume({}, from, to);
      EXPECT_EQ(resumed.digest, whole.digest) << from << " -> " << to;
      EXPECT_EQ(resumed.losses,
                std::vector<double>(whole.losses.begin() + kStopAt, whole.losses.end()))
          << from << " -> " << to;
    }
  }
}

TEST(Resume, MayMoveRowsBetweenStores) {
  const std::string missing = missing_library(RocksDbRows{"rows"});
  if (!missing.empty()) {
    GTEST_SKIP() << missing;
  }
  const ScratchFolder folder;
  const TinyResult whole = train_on_threads(tiny_job(folder.path(""), "rows", 16), 1, 1);
  const auto on_disk = [&](const char* name) {
    return fmt::format("{{type=\"rocksdb\",path=\"{}\"}}", folder.path(name));
  };
  const std::string one = "embedding.kv_creator=" + on_disk("one");
  const std::string other = "embedding.kv_creator=" + on_disk("other");
  const std::string tiered =
      "embedding.kv_creator={type=\"tiered\",fast_bytes=1048576,slow=" + on_disk("slow") + "}";

  EXPECT_EQ(stop_and_resume({}, 2, 3, {one}).digest, whole.digest);
  EXPECT_EQ(stop_and_resume({other}, 3, 1, {tiered}).digest, whole.digest);
}

TEST(Resume, MayHaveAnotherBatchSizeFromThereOn) {
  // 1003 records, of which the second epoch has given 3 * 128: 619 = 9 * 64 + 43.
  const TinyResult one = stop_and_resume({}, 1, 1, {"job.batch_size=64"});

  EXPECT_EQ(one.losses.size(), 10u);
  EXPECT_EQ(stop_and_resume({}, 2, 3, {"job.batch_size=64"}), one);
  EXPECT_EQ(stop_and_resume({}, 5, 2, {"job.batch_size=64"}), one);
}

TEST(Resume, GoesOnFromTextCompressedAndPackedData) {
  const ScratchFolder folder;
  const std::string train = folder.path("train.tsv"), valid = folder.path("valid.tsv");
  write_generated_text(tiny_records(), Split::train, train);
  write_generated_text(tiny_records(), Split::valid, valid);
  ASSERT_EQ(std::system(fmt::format("gzip -k '{}' '{}'", train, valid).c_str()), 0);
  const std::vector<std::string> text = text_data(train, valid);
  const JobConfig config = tiny_job(folder.path(""), "rows", 16, text);
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    write_packed(config.data, Split::train, folder.path("train.h5"), communicator, stream);
    write_packed(config.data, Split::valid, folder.path("valid.h5"), communicator, stream);
  });
  std::vector<std::string> packed = text_data(folder.path("train.h5"), folder.path("valid.h5"));
  packed.push_back("data.format=packed");
  const std::string whole = train_on_threads(config, 1, 1).digest;

  EXPECT_EQ(stop_and_resume(text, 2, 3).digest, whole);
  EXPECT_EQ(stop_and_resume(text_data(train + ".gz", valid + ".gz"), 3, 1).digest, whole);
  EXPECT_EQ(stop_and_resume(packed, 1, 2).digest, whole);
}

TEST(Resume, AChainOverTwoFiveAndThreeRanksHasTheDigestOfNeverHavingStopped) {
  const ScratchFolder source;
  const std::string train = source.path("train.tsv"), valid = source.path("valid.tsv");
  write_generated_text(tiny_records(), Split::train, train);
  write_generated_text(tiny_records(), Split::valid, valid);
  ASSERT_EQ(std::system(fmt::format("gzip -k '{}' '{}'", train, valid).c_str()), 0);
  const auto plain = text_data(train, valid), zipped = text_data(train + ".gz", valid + ".gz");
  auto stream = zipped;
  stream.push_back("data.memory_bytes=1000");
  const ScratchFolder whole_folder;
  const auto whole = [&](const std::vector<std::string>& data) {
    return train_on_threads(tiny_job(whole_folder.path(""), "rows", 16, data), 1, 1).digest;
  };
  const auto chain = [](std::vector<std::string> data, std::vector<std::string> later) {
    const ScratchFolder folder;
    const auto job = [&](const char* exchange, std::vector<std::string> part, int steps) {
      if (steps > 0) {
        part.push_back(fmt::format("job.steps={}", steps));
      }
      return tiny_job(folder.path(""), exchange, 16, part);
    };
    const std::string saved = folder.path("out/checkpoints/step-");
    train_on_threads(job("auto", data, 5), 2, 2, true);
    train_on_threads(job("reduced", later, 11), 5, 1, true, saved + "000005");
    return train_on_threads(job("rows", data, 0), 3, 1, true, saved + "000011").digest;
  };

  EXPECT_EQ(chain({}, {}), whole({}));
  EXPECT_EQ(chain(zipped, zipped), whole(plain));
  EXPECT_EQ(chain(plain, zipped), whole(plain));
  EXPECT_EQ(chain(stream, stream), whole(stream));
}

TEST(Resume, TablesWithALimitKeepTheRowsThatTheyWouldHaveKept) {
  for (const char* policy : {"timestamp", "frequency"}) {
    // Restricted at steps 4, 8, 12 and 16; saved at 11, with statuses. The job that stops evaluates
    // at 11 as well, which no learning rate may depend on.
    const std::vector<std::string> job{fmt::format("embedding.restrict_policy=\"{}\"", policy),
                                       "embedding.max_rows=20", "embedding.restrict_every=4",
                                       "job.decay=1"};
    const ScratchFolder folder;
    ::testing::internal::CaptureStdout();
    const TinyResult whole = train_on_threads(tiny_job(folder.path(""), "rows", 16, job), 1, 1);
    const std::string log = ::testing::internal::GetCapturedStdout();
    EXPECT_NE(log.find("step 4: "), std::string::npos) << log;
    EXPECT_NE(log.find(" rows removed, for max_rows of their tables"), std::string::npos) << log;
    const TinyResult free = train_on_threads(tiny_job(folder.path(""), "rows", 16), 1, 1);
    EXPECT_NE(whole.losses, free.losses) << "the limit changes what is learned";
    for (const auto& [from, to] : {std::pair(1, 1), std::pair(2, 3), std::pair(4, 1)}) {
      EXPECT_EQ(stop_and_resume(job, from, to).digest, whole.digest)
          << policy << ": " << from << " -> " << to;
    }
  }
}

TEST(Resume, TablesWithAnAdmissionLetInTheKeysThatTheyWouldHaveLetIn) {
  for (const char* admission : {"embedding.admit_after=4", "embedding.admit_probability=0.25"}) {
    const ScratchFolder folder;
    ::testing::internal::CaptureStdout();
    const TinyResult whole =
        train_on_threads(tiny_job(folder.path(""), "rows", 16, {admission}), 1, 1);
    const std::string log = ::testing::internal::GetCapturedStdout();
    EXPECT_NE(log.find(" gradients dropped of keys that are not admitted yet"), std::string::npos)
        << log;
    for (const auto& [from, to] : {std::pair(2, 3), std::pair(4, 1)}) {
      EXPECT_EQ(stop_and_resume({admission}, from, to).digest, whole.digest)
          << admission << ": " << from << " -> " << to;
    }
  }
}

TEST(Resume, StopsEarlyAtTheStepAtWhichItWouldHave) {
  // A learning rate so high that the second evaluation is by far the best.
  const std::vector<std::string> job{"job.evaluate_every_steps=1", "job.patience=12",
                                     "embedding.optimizer={type=\"adam\",learning_rate=0.3}"};
  const ScratchFolder folder;
  const TinyResult whole = train_on_threads(tiny_job(folder.path(""), "rows", 16, job), 1, 1);
  ASSERT_GT(whole.losses.size(), static_cast<std::size_t>(kStopAt));
  ASSERT_LT(whole.losses.size(), 16u);

  const TinyResult resumed = stop_and_resume(job, 2, 3);
  EXPECT_EQ(resumed.losses,
            std::vector<double>(whole.losses.begin() + kStopAt, whole.losses.end()));
  EXPECT_EQ(resumed.digest, whole.digest);
}

TEST(Resume, KeepsTheOrderOfReadingThatItsStartHasChosen) {
  const ScratchFolder folder;
  const std::string train = folder.path("train.tsv"), valid = folder.path("valid.tsv");
  write_generated_text(tiny_records(), Split::train, train);
  write_generated_text(tiny_records(), Split::valid, valid);
  ASSERT_EQ(std::system(fmt::format("gzip -k '{}' '{}'", train, valid).c_str()), 0);
  std::vector<std::string> data = text_data(train + ".gz", valid + ".gz");
  data.push_back("data.memory_bytes=1000");  // so the data is read as a stream
  const std::string whole =
      train_on_threads(tiny_job(folder.path(""), "rows", 16, data), 1, 1).digest;

  EXPECT_EQ(stop_and_resume(data, 2, 3, {"data.memory_bytes=10000000"}).digest, whole);
  for (const auto& [change, message] :
       {std::pair("data.order=blocks",
                  "data.order may not change at a resume: expected stream for train: found blocks"),
        std::pair("data.window=50",
                  "data.window may not change at a resume: expected 100: found 50")}) {
    try {
      stop_and_resume(data, 2, 3, {change});
      ADD_FAILURE() << "no error: " << change;
    } catch (const Error& error) {
      EXPECT_NE(error.text().find(message), std::string::npos) << error.text();
    }
  }
}

TEST(Resume, TakesUpMetricsThatAreNotFinite) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double best : {kInfinity, -kInfinity, std::nan(""), -std::nan(""), 0.1, 3.0}) {
    const ScratchFolder folder;
    const JobConfig config = tiny_job(folder.path(""), "rows", 16);
    run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      Reporter reporter(communicator.rank(), ProgressStyle::off, "");
      TrainingRun run(config, communicator, stream, reporter, nullptr);
      TrainingPosition position;
      position.reader.consumed.resize(16);
      position.schedule = {true, best, 3, 2, 1, 0.25};
      JobCheckpoints(config, communicator, stream).save(run.training(), position);
      const TrainingPosition loaded =
          run.training().load(folder.path("out/checkpoints/step-000000"));
      if (std::isnan(best)) {
        EXPECT_TRUE(std::isnan(loaded.schedule.best));
      } else {
        EXPECT_EQ(loaded.schedule.best, best);
      }
      EXPECT_EQ(loaded.schedule.scale, 0.25);
      EXPECT_EQ(loaded.schedule.best_step, 3);
    });
  }
}

}  // namespace
}  // namespace keyshard::testing
