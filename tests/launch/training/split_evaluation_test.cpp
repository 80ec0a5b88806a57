// The samples of an evaluation, batch by batch: each has at most one id of a named column, or the
// evaluation ends on all ranks alike.
#include "launch/training/split_evaluation.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

/// A slice of four samples for each rank: of users 1, 2, 2 and none, with kinds 7, 8, 7 and, on the
/// last rank, the kinds `last`.
Batch batch_of(int rank, int ranks, const std::vector<Key>& last) {
  Batch batch;
  batch.slices = {rank, rank + 1};
  batch.slice_offsets = {0, 4};
  batch.labels = {1, 0, 0, 1};
  batch.features = 2;
  batch.ids = {1, 7, 2, 8, 2, 7};
  batch.id_offsets = {0, 1, 2, 3, 4, 5, 6, 6};
  if (rank + 1 == ranks) {
    batch.ids.insert(batch.ids.end(), last.begin(), last.end());
  }
  batch.id_offsets.push_back(static_cast<std::int64_t>(batch.ids.size()));
  return batch;
}

/// The metrics of every rank by two columns, or what the rank throws.
struct Results {
  std::vector<SplitMetrics> metrics;
  std::vector<std::string> errors;

  Results(int ranks, const MetricsOptions& options, const std::vector<Key>& last)
      : metrics(static_cast<std::size_t>(ranks)), errors(metrics.size()) {
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      const int rank = communicator.rank();
      const auto mine = static_cast<std::size_t>(rank);
      try {
        SplitEvaluation evaluation(Loss::log_loss, ranks, {rank, rank + 1},
                                   {.dense = {}, .features = {"user", "kind"}}, {nullptr, options});
        evaluation.add(batch_of(rank, ranks, last), {0.5f, 0, 1, -1}, stream.threads());
        metrics[mine] = evaluation.result(communicator, stream);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Kind::invalid_argument);
        errors[mine] = error.text();
      }
    });
  }
};

TEST(SplitEvaluation, CountsSamplesByTheirOneId) {
  for (const int ranks : {1, 2, 3}) {
    const Results results(ranks, {.gauc = "user", .by = "kind"}, {8});
    for (const SplitMetrics& metrics : results.metrics) {
      ASSERT_TRUE(metrics.by_value) << results.errors[0];
      ASSERT_EQ(metrics.by_value->values.size(), ranks == 1 ? 2u : 3u);
      EXPECT_EQ(metrics.by_value->values[0].value, "7");
      EXPECT_EQ(metrics.by_value->values[0].metrics.samples, 2 * ranks);
      EXPECT_EQ(metrics.by_value->values[1].value, "8");
      EXPECT_EQ(metrics.by_value->values[1].metrics.samples, ranks + 1);
      EXPECT_EQ(metrics.all.gauc.without_id, ranks);
      EXPECT_EQ(metrics.all.gauc.one_class_groups, 2);
    }
  }
}

TEST(SplitEvaluation, OfSeveralIdsOfAColumnInASampleEndsOnAllRanks) {
  for (const MetricsOptions& options : {MetricsOptions{.gauc = "user", .by = "kind"},
                                        MetricsOptions{.gauc = "kind", .by = "user"}}) {
    for (const int ranks : {1, 2, 3}) {
      const Results results(ranks, options, {8, 9, 8});
      for (const std::string& error : results.errors) {
        EXPECT_TRUE(error.ends_with("expected at most one id of \"kind\" in a sample: found 3"))
            << error;
      }
    }
  }
  EXPECT_EQ(Results(2, {.gauc = "user", .by = ""}, {8, 9, 8}).errors, std::vector<std::string>(2));
}

TEST(SplitEvaluation, RefusesAColumnThatTheDataLack) {
  EXPECT_EQ(Results(1, {.gauc = "", .by = "kinds"}, {}).errors[0],
            "expected a feature of the data: found \"kinds\"");
}

}  // namespace
}  // namespace keyshard::testing
