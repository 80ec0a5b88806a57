// The file of a trace: what is written, which files a comparison accepts, and which tensor it names
// otherwise.
#include "launch/training/digest_trace.hpp"

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "runtime/runs.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

/// Adds two tensors to each of some steps; `change` is added to the digest of the last one.
void trace_steps(const std::string& path, std::int64_t first, std::int64_t last,
                 std::uint64_t change = 0, std::string* summary = nullptr) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    DigestTrace trace(path, communicator);
    for (std::int64_t step = first; step <= last; ++step) {
      const auto number = static_cast<std::uint64_t>(step);
      trace.add(step, "batch", "ids", {number, 1});
      trace.add(step, "update", "table user id", {number + (step == last ? change : 0), 2});
    }
    trace.flush();
    if (summary != nullptr) {
      *summary = trace.summary();
    }
  });
}

std::string difference(const std::string& path, std::int64_t first, std::int64_t last,
                       std::uint64_t change = 0) {
  try {
    trace_steps(path, first, last, change);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::other_bits);
    return error.text();
  }
  return "";
}

class DigestTraceFile : public ::testing::Test {
 protected:
  ScratchFolder folder_;
  std::string path_ = folder_.path("trace.txt");
};

TEST_F(DigestTraceFile, HasALinePerTensorOfAStep) {
  trace_steps(path_, 1, 2);

  EXPECT_EQ(folder_.read("trace.txt"),
            "1\tbatch\tids\t00000000000000010000000000000001\n"
            "1\tupdate\ttable user id\t00000000000000020000000000000001\n"
            "2\tbatch\tids\t00000000000000010000000000000002\n"
            "2\tupdate\ttable user id\t00000000000000020000000000000002\n");
}

TEST_F(DigestTraceFile, IsComparedWithAndLeftAsItIs) {
  trace_steps(path_, 1, 4);
  const std::string written = folder_.read("trace.txt");
  std::string summary;

  trace_steps(path_, 1, 4, 0, &summary);
  EXPECT_EQ(summary, "digests of steps 1 to 4 are those of " + path_);
  trace_steps(path_, 3, 4, 0, &summary);  // a job that goes on after step 2
  EXPECT_EQ(summary, "digests of steps 3 to 4 are those of " + path_);
  trace_steps(path_, 1, 2);  // a job of fewer steps
  EXPECT_EQ(folder_.read("trace.txt"), written);
}

TEST_F(DigestTraceFile, NamesTheFirstTensorThatDiffers) {
  trace_steps(path_, 1, 4);

  EXPECT_EQ(difference(path_, 1, 3, 9),
            path_ +
                ":6: step 3, update, table user id: expected 00000000000000020000000000000003: "
                "found 0000000000000002000000000000000c");
  EXPECT_EQ(difference(path_, 3, 3, 9), difference(path_, 1, 3, 9));
}

TEST_F(DigestTraceFile, NamesStepsAndTensorsThatItLacks) {
  trace_steps(path_, 1, 2);

  EXPECT_EQ(difference(path_, 1, 3),
            path_ + ":5: expected the digest of step 3, batch, ids: found the end of the file");
  EXPECT_EQ(difference(path_, 7, 7),
            path_ + ":5: expected the digest of step 7, batch, ids: found the end of the file");
  folder_.write("trace.txt", "1\tbatch\tlabels\t00\n");
  EXPECT_EQ(difference(path_, 1, 2),
            path_ +
                ":1: expected the digest of step 1, batch, labels: found that of step 1, "
                "batch, ids");
  folder_.write("trace.txt", "12 batch labels\n");
  EXPECT_EQ(difference(path_, 1, 2),
            path_ +
                ":1: expected a line of step, stage, tensor and digest: found \"12 batch "
                "labels\"");
}

TEST_F(DigestTraceFile, ThatCannotBeWrittenIsNamed) {
  EXPECT_THROW(trace_steps(folder_.path("none/trace.txt"), 1, 1), Error);
}

TEST_F(DigestTraceFile, OfSlicesDoesNotDependOnWhichRankHoldsThem) {
  const auto trace_slices = [&](int ranks) {
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
      DigestTrace trace(path_, communicator);
      std::vector<Digest128> slices;
      const Range run = run_of(communicator.rank(), communicator.size(), 4);
      for (std::int64_t slice = run.begin; slice < run.end; ++slice) {
        slices.push_back({static_cast<std::uint64_t>(slice), 5});
      }
      trace.add_slices(1, "pooled", "linear", slices);
    });
  };
  trace_slices(1);

  for (const int ranks : testing::rank_counts({2, 3, 5})) {
    EXPECT_NO_THROW(trace_slices(ranks)) << ranks;
  }
}

}  // namespace
}  // namespace keyshard::testing
