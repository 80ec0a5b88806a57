// The launches of a step: a stage is one launch for all tables, features and ranks, so that their
// number does not grow with the tables. A small step takes as long as its launches.
#include <array>
#include <mutex>

#include <gtest/gtest.h>

#include "io/generated_reader.hpp"
#include "launch/training/trainer.hpp"
#include "tests/step/many_tables.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

/// The most launches of a step: the reduced form sorts the parts of bags by owner and shard, which
/// takes more passes over them, however many tables there are.
std::int64_t most_launches(ExchangeMode mode) {
  return mode == ExchangeMode::rows ? 24 : mode == ExchangeMode::reduced ? 72 : 52;
}

/// Launches of a step by part: lookup, backward, update of tables.
using Launches = std::array<std::int64_t, 3>;

std::int64_t total(const Launches& launches) { return launches[0] + launches[1] + launches[2]; }

/// The launches of three steps on each of `ranks` ranks: with all keys new, some new, and none new.
std::vector<Launches> launches_of(int ranks, std::int64_t tables,
                                  ExchangeMode mode = ExchangeMode::rows) {
  std::vector<Launches> all;
  std::mutex mutex;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TrainerOptions options = options_of(tables);
    for (TableOptions& table : options.embedding.tables) {
      table.exchange = mode;
      table.pool_order = mode == ExchangeMode::rows ? PoolOrder::bag : PoolOrder::shard;
    }
    const ReadPlan plan{.batch_size = 512, .slices = options.slices, .seed = 1};
    const auto reader = make_generated_reader({.records = 1024}, Split::train, plan, communicator);
    Trainer<Cpu> trainer(options, reader->schema(), communicator, stream);
    Batch batch;
    for (const bool next : {true, true, false}) {
      if (next) {
        ASSERT_TRUE(reader->next(batch));
      }
      trainer.clock().reset();
      trainer.step(batch, 1);
      const StepClock& clock = trainer.clock();
      const std::lock_guard lock(mutex);
      all.push_back({clock.launches(StepPart::lookup), clock.launches(StepPart::backward),
                     clock.launches(StepPart::update)});
    }
  });
  return all;
}

/// On three ranks the slices of a rank are several nodes, so that masks travel with the gradients.
TEST(Launches, OfTheSparseSideAreFew) {
  for (const ExchangeMode mode :
       {ExchangeMode::rows, ExchangeMode::reduced, ExchangeMode::automatic}) {
    for (const int ranks : {1, 2, 3, 4}) {
      for (const std::int64_t tables : {std::int64_t{1}, kFeatures}) {
        for (const Launches& step : launches_of(ranks, tables, mode)) {
          EXPECT_GE(total(step), 3);
          EXPECT_LE(total(step), most_launches(mode))
              << option_name(mode) << ", " << ranks << " ranks, " << tables << " tables: lookup "
              << step[0] << ", backward " << step[1] << ", update " << step[2];
        }
      }
    }
  }
}

TEST(Launches, AreAsManyForManyTablesAsForOne) {
  EXPECT_EQ(launches_of(1, kFeatures), launches_of(1, 1));
  // Of two ranks that are threads, the steps of one may be noted before or after the other's.
  auto many = launches_of(2, kFeatures), one = launches_of(2, 1);
  std::sort(many.begin(), many.end());
  std::sort(one.begin(), one.end());
  EXPECT_EQ(many, one);
}

}  // namespace
}  // namespace keyshard::testing
