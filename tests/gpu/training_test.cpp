// Whole trainings on a real GPU. cuBLAS rounds as oneDNN does not, so losses are near those of a
// CPU, and bits are compared between numbers of ranks.
#include <gtest/gtest.h>

#include "tests/step/tiny_job.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

Device gpu(bool shared) { return {.cuda = 0, .name = "gpu", .shared = shared}; }

TEST(GpuTraining, HasTheLossesOfACpu) {
  const ScratchFolder folder;
  const JobConfig config = tiny_job(folder.path(""), "auto", 16);
  const TinyResult expected = train_on_threads(config, 1, 1);
  const TinyResult found = train_on_threads(config, 1, 1, false, "", gpu(false));
  ASSERT_EQ(found.losses.size(), expected.losses.size());
  for (std::size_t step = 0; step < found.losses.size(); ++step) {
    EXPECT_NEAR(found.losses[step], expected.losses[step], 1e-3 * (1 + expected.losses[step]))
        << "step " << step;
  }
}

TEST(GpuTraining, HasOneResultOnAnyNumberOfRanks) {
  const ScratchFolder folder;
  for (const char* exchange : {"rows", "reduced"}) {
    const JobConfig config = tiny_job(folder.path(""), exchange, 16);
    const TinyResult nccl = train_on_threads(config, 1, 1, false, "", gpu(false));
    for (const int ranks : {1, 2, 3}) {
      EXPECT_EQ(train_on_threads(config, ranks, 1, false, "", gpu(true)), nccl)
          << exchange << " on " << ranks << " ranks through the host";
    }
  }
}

}  // namespace
}  // namespace keyshard::testing
