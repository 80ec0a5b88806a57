// One configuration has one result on any number of ranks and threads and in every exchange mode;
// and, as a control, other configurations have other results.
#include <gtest/gtest.h>

#include "tests/step/tiny_job.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

TEST(SameBits, HoldOnTwoAndThreeRanksAndTwoThreads) {
  const ScratchFolder folder;
  const TinyResult one = train_on_threads(tiny_job(folder.path(""), "rows", 16), 1, 1);

  EXPECT_EQ(train_on_threads(tiny_job(folder.path(""), "rows", 16), 2, 2), one);
  EXPECT_EQ(train_on_threads(tiny_job(folder.path(""), "reduced", 16), 3, 1), one);
  EXPECT_EQ(train_on_threads(tiny_job(folder.path(""), "auto", 16), 2, 1), one);
}

TEST(SameBits, HoldWhicheverRanksOwnTheRows) {
  const ScratchFolder folder;
  const TinyResult one = train_on_threads(tiny_job(folder.path(""), "rows", 16), 1, 1);
  const std::vector<std::string> last{"embedding.devices=[\"cpu:2\"]"},
      mixed{"embedding.devices=[\"cpu:2\",\"cpu:0\"]", "tables.C2.devices=[]",
            "tables.C6.devices=[\"cpu:1\"]"};

  EXPECT_EQ(train_on_threads(tiny_job(folder.path(""), "rows", 16, mixed), 3, 1), one);
  EXPECT_EQ(train_on_threads(tiny_job(folder.path(""), "reduced", 16, mixed), 3, 1), one);
  EXPECT_EQ(train_on_threads(tiny_job(folder.path(""), "auto", 16, mixed), 4, 1), one);
  EXPECT_EQ(train_on_threads(tiny_job(folder.path(""), "auto", 16, last), 3, 2), one);
}

TEST(SameBits, HoldForTablesOfDoublesBesideOthers) {
  const ScratchFolder folder;
  const std::vector<std::string> doubles{"embedding.value_dtype=float64",
                                         "tables.C2.value_dtype=float16",
                                         "tables.C6.value_dtype=float32"};
  const TinyResult one = train_on_threads(tiny_job(folder.path(""), "auto", 16, doubles), 1, 1);

  EXPECT_NE(one.digest, train_on_threads(tiny_job(folder.path(""), "auto", 16), 1, 1).digest);
  EXPECT_EQ(train_on_threads(tiny_job(folder.path(""), "rows", 16, doubles), 2, 2), one);
  EXPECT_EQ(train_on_threads(tiny_job(folder.path(""), "auto", 16, doubles), 3, 1), one);
  EXPECT_EQ(train_on_threads(tiny_job(folder.path(""), "auto", 16, doubles), 4, 2), one);
  EXPECT_EQ(train_on_threads(tiny_job(folder.path(""), "auto", 16, doubles), 8, 1), one);
}

TEST(SameBits, HoldForAJobThatStopsEarly) {
  const ScratchFolder folder;
  const auto job = [&] {
    // With learning rates near 0 no evaluation is better than the first, at step 3. The evaluations
    // at steps 6 and 8 (the end of the epoch) are not better, so the job stops.
    return tiny_job(
        folder.path(""), "auto", 16,
        {"job.patience=2", "job.evaluate_every_steps=3", "model.batch_norm=false",
         "model.optimizer.learning_rate=1e-30", "embedding.optimizer.learning_rate=1e-30",
         "embedding.linear.optimizer.learning_rate=1e-30",
         "tables.C2.optimizer.learning_rate=1e-30"});
  };
  const TinyResult one = train_on_threads(job(), 1, 1);

  EXPECT_EQ(one.losses.size(), 8u);
  EXPECT_EQ(train_on_threads(job(), 2, 2), one);
  EXPECT_EQ(train_on_threads(job(), 3, 1), one);
}

TEST(SameBits, DifferWithOtherSlicesSeedOrPoolOrder) {
  const ScratchFolder folder;
  const auto digest = [&](std::int64_t slices, const std::vector<std::string>& more) {
    return train_on_threads(tiny_job(folder.path(""), "rows", slices, more), 1, 1).digest;
  };
  const std::string base = digest(16, {});

  EXPECT_NE(digest(8, {}), base);
  EXPECT_NE(digest(16, {"job.seed=6"}), base);
  EXPECT_NE(digest(16, {"embedding.pool_order=bag"}), base);
  EXPECT_NE(digest(16, {"model.dropout=0.2"}), base);
}

}  // namespace
}  // namespace keyshard::testing
