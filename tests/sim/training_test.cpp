// Whole trainings on the simulated device. Its products are those of a CPU, so a job has the bits
// that it has on CPUs.
#include "tests/sim/sim_test.hpp"
#include "tests/step/tiny_job.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

using SimTraining = SimTest;

Device simulated(bool shared = false) { return {.cuda = 0, .name = "simulated", .shared = shared}; }

void expect_same(const TinyResult& found, const TinyResult& expected) {
  EXPECT_EQ(found.digest, expected.digest);
  EXPECT_EQ(found.losses, expected.losses);
}

TEST_F(SimTraining, HasTheBitsOfCpusOnAnyNumberOfRanks) {
  sim::reset_device({.guard = false});  // closing memory takes most of the time of a long test
  const ScratchFolder folder;
  for (const char* exchange : {"rows", "reduced", "auto"}) {
    const JobConfig config = tiny_job(folder.path(""), exchange, 16);
    const TinyResult expected = train_on_threads(config, 1, 1);
    for (const int ranks : {1, 2, 3, 4}) {
      SCOPED_TRACE(::testing::Message() << exchange << " on " << ranks << " ranks");
      expect_same(train_on_threads(config, ranks, 1, false, "", simulated()), expected);
    }
  }
}

/// The ids of the next batch travel by queues and a communicator of their own.
TEST_F(SimTraining, HasTheSameBitsWithOverlapOnAnyNumberOfRanks) {
  sim::reset_device({.guard = false});
  const ScratchFolder folder;
  const TinyResult expected =
      train_on_threads(tiny_job(folder.path(""), "auto", 16, {"job.steps=9"}), 1, 1);
  for (const char* exchange : {"rows", "reduced", "auto"}) {
    const JobConfig config =
        tiny_job(folder.path(""), exchange, 16, {"job.steps=9", "job.overlap=1"});
    for (const int ranks : {1, 2, 3, 4}) {
      SCOPED_TRACE(::testing::Message() << exchange << " on " << ranks << " ranks");
      expect_same(train_on_threads(config, ranks, 1, false, "", simulated()), expected);
    }
  }
}

TEST_F(SimTraining, HasTheSameBitsWithOverlapInAnyOrderOfQueuesAndThroughHostMemory) {
  const ScratchFolder folder;
  const TinyResult expected =
      train_on_threads(tiny_job(folder.path(""), "auto", 16, {"job.steps=3"}), 1, 1);
  const JobConfig config = tiny_job(folder.path(""), "auto", 16, {"job.steps=3", "job.overlap=1"});
  for_seeds(1, [&](int) {
    expect_same(train_on_threads(config, 2, 1, false, "", simulated()), expected);
  });
  expect_same(train_on_threads(config, 2, 1, false, "", simulated(true)), expected);
}

TEST_F(SimTraining, HasTheSameBitsWhicheverRanksOwnTheRows) {
  sim::reset_device({.guard = false});
  const ScratchFolder folder;
  const TinyResult expected =
      train_on_threads(tiny_job(folder.path(""), "auto", 16, {"job.steps=6"}), 1, 1);
  for (const char* exchange : {"rows", "reduced", "auto"}) {
    const JobConfig config = tiny_job(folder.path(""), exchange, 16,
                                      {"job.steps=6", "embedding.devices=[\"gpu:2\",\"gpu:0\"]",
                                       "tables.C2.devices=[]", "tables.C6.devices=[\"gpu:1\"]"});
    expect_same(train_on_threads(config, 3, 1, false, "", simulated()), expected);
  }
}

/// Tables whose rows do not all fit their budgets of device memory.
TEST_F(SimTraining, HasTheSameBitsWhereRowsLieInPinnedMemory) {
  sim::reset_device({.guard = false});
  const ScratchFolder folder;
  std::vector<std::string> wide{"job.steps=6", "embedding.dim=64", "tables.C2.dim=64",
                                "data.generator.vocabulary=3000"};
  const TinyResult expected = train_on_threads(tiny_job(folder.path(""), "auto", 16, wide), 1, 1);
  wide.emplace_back(
      R"(embedding.kv_creator={type="tiered",fast_bytes=1048576,slow={type="host"}})");
  for (const char* exchange : {"rows", "auto"}) {
    for (const char* overlap : {"job.overlap=0", "job.overlap=1"}) {
      std::vector<std::string> more = wide;
      more.emplace_back(overlap);
      const JobConfig config = tiny_job(folder.path(""), exchange, 16, more);
      expect_same(train_on_threads(config, 1, 1), expected);
      for (const int ranks : {1, 2}) {
        SCOPED_TRACE(::testing::Message() << exchange << ", " << overlap << ", " << ranks);
        expect_same(train_on_threads(config, ranks, 1, false, "", simulated()), expected);
      }
    }
  }
}

TEST_F(SimTraining, HasTheSameBitsThroughHostMemory) {
  const ScratchFolder folder;
  const JobConfig config = tiny_job(folder.path(""), "auto", 16, {"job.steps=6"});
  const TinyResult expected = train_on_threads(config, 1, 1);
  for (const int ranks : {1, 3}) {
    expect_same(train_on_threads(config, ranks, 2, false, "", simulated(true)), expected);
  }
}

TEST_F(SimTraining, HasTheSameBitsInAnyOrderOfQueuesAndLanes) {
  const ScratchFolder folder;
  const JobConfig config = tiny_job(folder.path(""), "auto", 16, {"job.steps=4"});
  const TinyResult expected = train_on_threads(config, 1, 1);
  for_seeds(2, [&](int) {
    expect_same(train_on_threads(config, 2, 1, false, "", simulated()), expected);
  });
}

/// Trains half of a job on some ranks of one device and the rest on ranks of the other.
TinyResult change_device(const Device& first, int first_ranks, const Device& second,
                         int second_ranks) {
  const ScratchFolder folder;
  const JobConfig half =
      tiny_job(folder.path(""), "auto", 16, {"job.steps=8", "checkpoint.at_end=true"});
  train_on_threads(half, first_ranks, 1, true, "", first);
  const JobConfig whole = tiny_job(folder.path(""), "auto", 16, {"job.steps=14"});
  return train_on_threads(whole, second_ranks, 1, false, folder.path("out/checkpoints/step-000008"),
                          second);
}

TEST_F(SimTraining, ACheckpointGoesOnOnTheOtherDeviceAndOnOtherRanks) {
  sim::reset_device({.guard = false});
  const ScratchFolder folder;
  const TinyResult expected =
      train_on_threads(tiny_job(folder.path(""), "auto", 16, {"job.steps=14"}), 1, 1);
  EXPECT_EQ(change_device(simulated(), 2, {}, 3).digest, expected.digest);
  EXPECT_EQ(change_device({}, 3, simulated(), 2).digest, expected.digest);
}

}  // namespace
}  // namespace keyshard::testing
