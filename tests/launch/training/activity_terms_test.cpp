// Regularizers of outputs in a training step, against their definition: value / B in the loss, and
// the derivative / B in the gradient.
#include "launch/training/activity_terms.hpp"

#include <mutex>

#include <gtest/gtest.h>

#include "io/generated_reader.hpp"
#include "launch/training/trainer.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

/// DeepFM over two features with rows of two numbers 0.5, SGD with rate 1; every sample of the data
/// has the same two ids.
TrainerOptions options_of(const ActivityOptions& of_first) {
  TrainerOptions options;
  options.model.hidden = {4};
  for (const char* name : {"C1", "C2"}) {
    TableOptions& table = options.embedding.tables.emplace_back();
    table.name = name;
    table.groups = {{"factor", 2, Constant{0.5f}, {}, Sgd{1}, {}},
                    {"linear", 1, Constant{0.0f}, {}, Sgd{1}, {}}};
    options.embedding.features.push_back(
        {name, static_cast<int>(options.embedding.features.size()), {Sum{}, Sum{}}});
  }
  options.embedding.activities = {{of_first, {}}, {{}, {}}};
  return options;
}

/// Loss of the first step, the first number of the row of C1 after it, and the digest.
struct Outcome {
  double loss = 0;
  float number = 0;
  std::string digest;
};

Outcome step_of(const TrainerOptions& options, int ranks) {
  Outcome outcome;
  std::mutex mutex;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const ReadPlan plan{.batch_size = 64, .slices = options.slices, .seed = 1};
    const auto reader = make_generated_reader({.records = 128, .features = 2, .vocabulary = 1},
                                              Split::train, plan, communicator);
    Trainer<Cpu> trainer(options, reader->schema(), communicator, stream);
    Batch batch;
    ASSERT_TRUE(reader->next(batch));
    const double loss = trainer.step(batch, 1).loss;
    const std::string digest = trainer.digest().hex();
    const std::lock_guard lock(mutex);
    outcome.loss = loss;
    outcome.digest = digest;
    const Table<Cpu>& table = trainer.tables().at("C1");
    for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
      const ShardRows rows = table.shard_rows(shard);
      if (!rows.keys.empty()) {
        float numbers[2];
        table.copy_column(rows.rows, {"values/factor", 0, 2}, numbers);
        outcome.number = numbers[0];
      }
    }
  });
  return outcome;
}

TEST(ActivityTerms, AreInTheLossAndTheGradientOnAnyNumberOfRanks) {
  // l1 |y| + l2 y^2 is 1 for each of two numbers y = 0.5, its derivative 1 + 4 * 0.5 = 3. Of all 64
  // samples the same row takes 64 derivatives / 64.
  const Outcome without = step_of(options_of({}), 1);
  for (const int ranks : {1, 2, 4}) {
    const Outcome with = step_of(options_of({1, 2, ""}), ranks);
    EXPECT_NEAR(with.loss - without.loss, 2, 1e-12);
    EXPECT_NEAR(with.number - without.number, -3, 1e-5);
    EXPECT_EQ(with.digest, step_of(options_of({1, 2, ""}), 1).digest) << ranks;
  }
  EXPECT_NEAR(step_of(options_of({0.25, 0, ""}), 1).loss - without.loss, 0.25, 1e-12);
}

TEST(ActivityTerms, DevicesOfTablesAreCheckedWithTheRanks) {
  TrainerOptions options = options_of({});
  options.embedding.devices = {{"cpu:0", "cpu:1"}, {}};
  EXPECT_EQ(step_of(options, 2).digest, step_of(options_of({}), 1).digest);
  options.embedding.devices = {{"cpu:1"}, {"cpu:1", "cpu:0"}};
  EXPECT_EQ(step_of(options, 2).digest, step_of(options_of({}), 1).digest);
  options.embedding.devices[0] = {"cpu:0", "cpu:2"};
  try {
    step_of(options, 2);
    ADD_FAILURE() << "expected a refusal";
  } catch (const Error& error) {
    EXPECT_EQ(error.text(), "layer C1: expected devices of the ranks 0 to 1: found \"cpu:2\"");
  }
}

}  // namespace
}  // namespace keyshard::testing
