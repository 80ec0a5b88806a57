// Inferences that threads of a program make at once in layers whose rows live in a store, on one
// rank and on several.
#include <map>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "tests/embedding/stores/store_places.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

class StoredInference : public StorePlaces {};

INSTANTIATE_TEST_SUITE_P(Everywhere, StoredInference,
                         ::testing::Values("host", "rocksdb", "redis", "own", "tiered_rocksdb",
                                           "tiered_redis", "tiered_own", "tiered_host"),
                         [](const auto& which) { return which.param; });

/// A layer whose key k < 100 has the row `k + add` on its owner; other keys read 2.
struct NumberedLayer {
  SquashedEmbedding<Cpu> layer;

  NumberedLayer(TableSet<Cpu>& tables, Stream<Cpu>& stream, const std::string& name,
                const KvCreator& creator, float add)
      : layer(tables, options(name, creator)) {
    std::vector<Key> keys;
    std::vector<float> values;
    for (Key key = 0; key < 100; ++key) {
      if (layer.table().shards().contains(shard_of(layer.table().partitioner(), key))) {
        keys.push_back(key);
        values.push_back(static_cast<float>(key) + add);
      }
    }
    layer.table().assign(stream, keys, values.data());
  }

  static LayerOptions options(const std::string& name, const KvCreator& creator) {
    LayerOptions options;
    options.name = name;
    options.embedding_size = 1;
    options.initializer = Constant{2};
    options.kv_creator = creator;
    return options;
  }

  /// The sum of the rows of a key and of one that has none.
  float ask(Stream<Cpu>& stream, Communicator<Cpu>* communicator, Key key) {
    const std::vector<Key> ids{key, 1000 + key};
    const CallOptions call{.training = false, .communicator = communicator};
    return layer(stream, {ids, {1, 2}, {}}, call).values.data()[0];
  }
};

TEST_P(StoredInference, OfThreadsOfOneRankNeedNoCommunicators) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    NumberedLayer numbers(tables, stream, "items", creator(), 0);
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&] {
        Stream<Cpu> own;
        for (Key key = 0; key < 100; ++key) {
          EXPECT_EQ(numbers.ask(own, nullptr, key), static_cast<float>(key) + 2);
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  });
}

/// Every thread asks the two layers in an order of its own, so ranks answer threads in other orders
/// than they are asked.
TEST_P(StoredInference, OfThreadsOfSeveralRanksHaveACommunicatorEach) {
  constexpr int kThreads = 4;
  for (const int ranks : {2, 3}) {
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      const std::string part = std::to_string(ranks);
      NumberedLayer one(tables, stream, "one", creator("one" + part), 0);
      NumberedLayer two(tables, stream, "two", creator("two" + part), 500);
      std::vector<std::unique_ptr<Communicator<Cpu>>> own;
      for (int thread = 0; thread < kThreads; ++thread) {
        own.push_back(communicator.duplicate());
      }
      std::vector<std::thread> threads;
      for (int thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
          Stream<Cpu> mine;
          Communicator<Cpu>& ours = *own[static_cast<std::size_t>(thread)];
          for (Key key = 0; key < 30; ++key) {
            const Key asked = key + static_cast<Key>(ours.rank());
            for (int call = 0; call < 2; ++call) {
              const bool first = (call + thread) % 2 == 0;
              EXPECT_EQ((first ? one : two).ask(mine, &ours, asked),
                        static_cast<float>(asked) + 2 + (first ? 0 : 500));
            }
          }
        });
      }
      for (std::thread& thread : threads) {
        thread.join();
      }
    });
  }
}

}  // namespace
}  // namespace keyshard::testing
