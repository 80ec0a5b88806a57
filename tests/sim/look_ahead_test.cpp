// What is prepared ahead on a device: the queue of the steps waits for it, and its memory goes
// behind the work of the steps. A trainer waits for its queue so often that it would hide both.
#include "collectives/nccl_communicator.hpp"
#include "embedding/rows/table_set.hpp"
#include "io/generated_reader.hpp"
#include "launch/training/look_ahead_impl.hpp"
#include "tests/sim/sim_test.hpp"
#include "tests/step/many_tables.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

constexpr std::size_t kBatches = 3;

/// A lookup of 26 features in two tables, and its batches on this rank.
struct Ahead {
  std::unique_ptr<Communicator<Cuda>> communicator;
  Stream<Cuda> stream{0};
  TrainerOptions options = options_of(2);
  std::vector<Batch> batches{kBatches};
  TableSet<Cuda> tables;
  std::unique_ptr<Lookup<Cuda>> lookup;

  explicit Ahead(Communicator<Cpu>& host)
      : communicator(make_nccl_communicator(host, 0)), tables(*communicator) {
    const ReadPlan plan{.batch_size = 64, .slices = options.slices, .seed = 1};
    const auto reader = make_generated_reader({.records = 192}, Split::train, plan, host);
    for (Batch& batch : batches) {
      EXPECT_TRUE(reader->next(batch));
    }
    std::vector<Table<Cuda>*> borrowed;
    for (const TableOptions& table : options.embedding.tables) {
      borrowed.push_back(&tables.create(table));
    }
    lookup = std::make_unique<Lookup<Cuda>>(*communicator, borrowed, options.embedding.features);
  }
};

/// The outputs of both column groups, on the device.
struct Outputs {
  std::vector<Buffer<float, Cuda>> buffers;
  std::vector<MatrixView<float>> views;

  Outputs(Ahead& of, std::int64_t samples) {
    for (std::int64_t g = 0; g < of.lookup->groups(); ++g) {
      const std::int64_t width = of.lookup->width(g);
      buffers.emplace_back(of.stream, samples * width);
      views.push_back({buffers.back().data(), samples, width, width});
    }
  }

  std::vector<float> on_host(Stream<Cuda>& stream) const {
    std::vector<float> all;
    for (const Buffer<float, Cuda>& buffer : buffers) {
      const std::vector<float> values = to_host(stream, buffer);
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }
};

std::vector<float> look_up(Ahead& of, const Batch& batch) {
  const Outputs outputs(of, batch.samples());
  of.lookup->forward(of.stream,
                     prepare_batch<Cuda>(*of.lookup, of.stream, batch, of.options.slices, false),
                     true, outputs.views);
  return outputs.on_host(of.stream);
}

/// The same for all batches, each prepared while the one before it is looked up.
std::vector<std::vector<float>> look_up_ahead(Ahead& of) {
  std::vector<std::vector<float>> found;
  LookAhead<Cuda> ahead(*of.lookup, *of.communicator, of.stream, of.options.slices);
  ahead.begin({&of.batches[0]}, false);
  for (std::size_t i = 0; i < kBatches; ++i) {
    ahead.finish();
    const Batch& batch = of.batches[i];
    PreparedLookup<Cuda> prepared = ahead.take(batch);
    if (i + 1 < kBatches) {
      ahead.begin({&of.batches[i + 1]}, false);
    }
    const Outputs outputs(of, batch.samples());
    {
      const LookupTrace<Cuda> trace =
          of.lookup->forward(of.stream, std::move(prepared), true, outputs.views);
      ahead.release();
    }  // the memory of the trace goes, whatever of its work still waits in the queue
    found.push_back(outputs.on_host(of.stream));
  }
  return found;
}

using SimLookAhead = SimTest;

TEST_F(SimLookAhead, IsHeldByTheStepsAndGoesBehindThem) {
  for_seeds(6, [&](int) {
    for (const int ranks : {1, 2}) {
      run_ranks(ranks, 1, [&](Communicator<Cpu>& host, Stream<Cpu>&) {
        Ahead of(host);
        std::vector<std::vector<float>> expected;
        for (const Batch& batch : of.batches) {
          expected.push_back(look_up(of, batch));
        }
        EXPECT_EQ(look_up_ahead(of), expected);
      });
    }
  });
}

}  // namespace
}  // namespace keyshard::testing
