// Whole jobs with rows in stores: the digest of a job in host memory on any number of ranks, saves
// and resumes.
#include <cstdlib>
#include <memory>
#include <mutex>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "launch/training/table_checkpoint.hpp"
#include "launch/training/table_digests.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"
#include "tests/embedding/stores/store_places.hpp"
#include "tests/support/damage_row.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

constexpr std::int64_t kSteps = 12, kSlices = 12, kSamples = 240, kIds = 5, kKeys = 20'000;

/// A layer whose rows have states and statuses, and which is restricted now and then.
LayerOptions layer_options(const KvCreator& creator, bool bp_v2 = false) {
  LayerOptions options;
  options.name = "items";
  options.embedding_size = 5;
  options.optimizer = Adam{};
  options.restrict_policy = "frequency";
  options.max_rows = 9000;
  options.restrict_every = 4;
  options.kv_creator = creator;
  options.bp_v2 = bp_v2;
  return options;
}

/// Makes steps [begin, end) of a job whose batches are a function of the step: each rank has its
/// run of the slices.
void train(SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream,
           std::int64_t begin, std::int64_t end) {
  Communicator<Cpu>& communicator = tables.communicator();
  const Range run = run_of(communicator.rank(), communicator.size(), kSlices);
  constexpr std::int64_t kSliceSamples = kSamples / kSlices;
  for (std::int64_t step = begin; step < end; ++step) {
    std::vector<Key> ids;
    std::vector<std::int64_t> offsets{0};
    for (std::int64_t slice = run.begin; slice < run.end; ++slice) {
      for (std::int64_t i = 0; i < kSliceSamples * kIds; ++i) {
        const std::uint64_t number =
            mix64(static_cast<std::uint64_t>((step * kSlices + slice) * 1000 + i));
        ids.push_back(number % 3 == 0 ? number % 50 : number % kKeys);
      }
      offsets.push_back(offsets.back() + kSliceSamples);
    }
    const SliceLayout slices{kSlices, run, offsets};
    const auto samples = static_cast<std::int64_t>(ids.size()) / kIds;
    const LayerOutput<Cpu> output =
        layer(stream, {ids, {samples, kIds}, {}}, {.training = true, .slices = &slices});
    if (output.dtype == ValueDtype::float64) {
      layer.backward(stream, output, output.numbers<double>().data());
    } else {
      std::vector<float> upstream(static_cast<std::size_t>(samples * 5));
      for (std::size_t i = 0; i < upstream.size(); ++i) {
        upstream[i] = output.values.data()[i] - 0.25f;
      }
      layer.backward(stream, output, upstream.data());
    }
    tables.apply(stream, {1.0f, kSamples});
  }
}

/// The digest of the tables after a job of kSteps on so many ranks.
std::string digest_of_job(const LayerOptions& options, int ranks) {
  std::string digest;
  std::mutex mutex;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, options);
    train(layer, tables, stream, 0, kSteps);
    const std::string mine = state_digest(tables, stream, kSteps).hex();
    const std::lock_guard lock(mutex);
    digest = mine;
  });
  return digest;
}

class StoredSteps : public StorePlaces {};

INSTANTIATE_TEST_SUITE_P(Everywhere, StoredSteps,
                         ::testing::Values("rocksdb", "redis", "own", "tiered_rocksdb",
                                           "tiered_redis", "tiered_own", "tiered_host"),
                         [](const auto& which) { return which.param; });

TEST_P(StoredSteps, HaveTheDigestOfHostMemoryOnAnyNumberOfRanks) {
  const std::string host = digest_of_job(layer_options(HostRows{}), 1);
  for (const int ranks : {1, 2, 3, 4}) {
    EXPECT_EQ(digest_of_job(layer_options(creator(fmt::format("of{}", ranks))), ranks), host)
        << ranks << " ranks";
  }
}

TEST_P(StoredSteps, OfDoublesHaveTheDigestOfHostMemory) {
  LayerOptions options = layer_options(HostRows{});
  options.value_dtype = "float64";
  const std::string host = digest_of_job(options, 1);
  options.kv_creator = creator();
  EXPECT_EQ(digest_of_job(options, 3), host);
}

TEST_P(StoredSteps, HaveTheDigestOfHostMemoryWhicheverRanksOwnTheRows) {
  const std::string host = digest_of_job(layer_options(HostRows{}), 1);
  for (const std::vector<std::string>& devices :
       {std::vector<std::string>{"cpu:2"}, {"cpu:2", "cpu:0"}}) {
    LayerOptions options = layer_options(creator(fmt::format("of{}", devices.size())));
    options.devices = devices;
    EXPECT_EQ(digest_of_job(options, 3), host) << devices.size() << " owners";
  }
}

TEST_P(StoredSteps, WithOneWriterIncrementsHaveTheBitsOfValues) {
  EXPECT_EQ(digest_of_job(layer_options(creator("value")), 2),
            digest_of_job(layer_options(creator("increment"), true), 2));
}

TEST_P(StoredSteps, GoOnFromACheckpointOnAnotherNumberOfRanksAndElsewhere) {
  const std::string host = digest_of_job(layer_options(HostRows{}), 1);
  const std::string folder = folder_.path("saved");
  std::string path;
  run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, layer_options(creator()));
    train(layer, tables, stream, 0, 5);
    const std::string saved = save_tables(folder, tables, stream, {5, {}, {}, {}});
    train(layer, tables, stream, 5, 7);  // the store goes on; the resume does not
    if (communicator.rank() == 0) {
      path = saved;
    }
  });
  const KvCreator elsewhere = HostRows{};
  for (const auto& [ranks, where] : {std::pair(2, creator()), {3, creator()}, {2, elsewhere}}) {
    std::string digest;
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      SquashedEmbedding<Cpu> layer(tables, layer_options(where));
      load_tables(path, tables, stream);
      train(layer, tables, stream, 5, kSteps);
      const std::string mine = state_digest(tables, stream, kSteps).hex();
      if (communicator.rank() == 0) {
        digest = mine;
      }
    });
    EXPECT_EQ(digest, host) << ranks << " ranks";
  }
}

TEST_P(StoredSteps, ADamagedCheckpointTakesNothingFromAStore) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, layer_options(creator()));
    train(layer, tables, stream, 0, 5);
    const std::string path = save_tables(folder_.path("saved"), tables, stream, {5, {}, {}, {}});
    train(layer, tables, stream, 5, 7);
    const Digest128 before = state_digest(tables, stream, 7);
    damage_row(path, 0, 1);
    EXPECT_THROW(load_tables(path, tables, stream), Error);
    EXPECT_EQ(state_digest(tables, stream, 7), before);
  });
}

TEST_P(StoredSteps, WeightsAreThoseOfHostMemory) {
  std::vector<LayerWeights> weights;
  for (const KvCreator& where : {KvCreator(HostRows{}), creator()}) {
    run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      SquashedEmbedding<Cpu> layer(tables, layer_options(where));
      train(layer, tables, stream, 0, 2);
      layer.set_weights(stream, layer.get_weights());  // states are new
      train(layer, tables, stream, 2, 4);
      weights.push_back(layer.get_weights());
      EXPECT_EQ(layer.count_params(), std::ssize(weights.back().keys) * 5);
    });
  }
  EXPECT_EQ(weights[0].keys, weights[1].keys);
  EXPECT_EQ(weights[0].values, weights[1].values);
}

}  // namespace
}  // namespace keyshard::testing
