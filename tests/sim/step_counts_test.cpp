// What a step gives to the device: the numbers that docs/gpu.md counts with.
#include "io/generated_reader.hpp"
#include "launch/make_training.hpp"
#include "tests/sim/sim_test.hpp"
#include "tests/step/many_tables.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

/// A step whose keys all have rows.
struct StepCounts {
  std::int64_t sparse = 0;  ///< launches of lookup, backward and update of tables
  std::int64_t dense = 0;   ///< of the model
  sim::Work work;
};

StepCounts count_step(std::int64_t tables) {
  StepCounts counts;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const TrainerOptions options = options_of(tables);
    const ReadPlan plan{.batch_size = 512, .slices = options.slices, .seed = 1};
    const auto reader = make_generated_reader({.records = 1024}, Split::train, plan, communicator);
    const auto training = make_training({.cuda = 0, .name = "simulated"}, options, reader->schema(),
                                        communicator, stream);
    Batch batch;
    ASSERT_TRUE(reader->next(batch));
    training->step(batch, 1, false, {});  // makes the rows of the same keys
    training->clock().reset();
    const sim::Work before = sim::work();
    training->step(batch, 1, false, {});
    const sim::Work after = sim::work();
    const StepClock& clock = training->clock();
    counts.sparse = clock.launches(StepPart::lookup) + clock.launches(StepPart::backward) +
                    clock.launches(StepPart::update);
    counts.dense = clock.launches(StepPart::model);
    counts.work = {.kernels = after.kernels - before.kernels,
                   .copies_to_device = after.copies_to_device - before.copies_to_device,
                   .bytes_to_device = after.bytes_to_device - before.bytes_to_device,
                   .copies_to_host = after.copies_to_host - before.copies_to_host,
                   .bytes_to_host = after.bytes_to_host - before.bytes_to_host,
                   .waits = after.waits - before.waits};
  });
  return counts;
}

using SimStep = SimTest;

TEST_F(SimStep, GivesAsMuchToTheDeviceForManyTablesAsForTwo) {
  sim::reset_device({.guard = false});
  const StepCounts few = count_step(2), many = count_step(kFeatures);
  EXPECT_EQ(many.sparse, few.sparse);
  EXPECT_EQ(many.dense, few.dense);
  EXPECT_EQ(many.work.copies_to_device, few.work.copies_to_device);
  EXPECT_EQ(many.work.copies_to_host, few.work.copies_to_host);
  EXPECT_EQ(many.work.waits, few.work.waits);
}

/// docs/gpu.md counts with these numbers.
TEST_F(SimStep, GivesFewLaunchesCopiesAndWaitsToTheDevice) {
  sim::reset_device({.guard = false});
  const StepCounts step = count_step(kFeatures);
  EXPECT_LE(step.sparse, 29);
  EXPECT_LE(step.dense, 27);
  EXPECT_LE(step.work.kernels, 43);
  EXPECT_LE(step.work.copies_to_device, 57);
  EXPECT_LE(step.work.bytes_to_device, 430'000);  // ids and offsets are 213'000
  EXPECT_LE(step.work.copies_to_host, 8);
  EXPECT_LE(step.work.waits, 16);
}

}  // namespace
}  // namespace keyshard::testing
