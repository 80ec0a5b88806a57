// The option `devices`: which ranks own the rows of a layer, and that nothing else follows from it.
#include "embedding/layers/devices.hpp"

#include <map>
#include <mutex>

#include "tests/embedding/layers/layer_on_ranks.hpp"

namespace keyshard::testing {
namespace {

using Devices = std::vector<std::string>;
using Rows = std::map<Key, std::vector<float>>;

LayerOptions owned(const Devices& devices) {
  LayerOptions options = items();
  options.devices = devices;
  return options;
}

/// Keys 0 to n with rows (k, -k), given by rank 0.
LayerWeights given(const Communicator<Cpu>& communicator, Key n) {
  LayerWeights weights{"float32", 2, {}, {}};
  for (Key key = 0; key < n && communicator.rank() == 0; ++key) {
    weights.keys.push_back(key);
    weights.values.insert(weights.values.end(),
                          {static_cast<float>(key), -static_cast<float>(key)});
  }
  return weights;
}

TEST(Devices, OwnTheRowsInTheOrderOfTheList) {
  run_ranks(3, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, owned({"cpu:2", "cpu:0"}));
    layer.build({4});
    layer.set_weights(stream, given(communicator, 3000));

    const LayerWeights mine = layer.get_weights();

    EXPECT_EQ(layer.count_params(), 2 * 3000);
    // Rank 2 has the first half of the shards, rank 0 the second.
    std::size_t expected = 0;
    for (Key key = 0; key < 3000; ++key) {
      const bool first = shard_of(layer.table().partitioner(), key) < kShards / 2;
      expected += communicator.rank() == (first ? 2 : 0) ? 1 : 0;
    }
    EXPECT_EQ(mine.keys.size(), expected);
    EXPECT_EQ(communicator.rank() == 1, mine.keys.empty());
    for (std::size_t i = 0; i < mine.keys.size(); ++i) {
      EXPECT_TRUE(
          layer.table().shards().contains(shard_of(layer.table().partitioner(), mine.keys[i])));
      EXPECT_EQ(mine.values[2 * i], static_cast<float>(mine.keys[i]));
    }
    layer.set_weights(stream, mine);
    EXPECT_EQ(layer.get_weights(), mine);
  });
}

/// Three layers: one whose table changes in size, one that shares the table, and one with a table
/// of its own.
struct Layers {
  TableSet<Cpu> tables;
  SquashedEmbedding<Cpu> layer, sharing, other;

  Layers(Communicator<Cpu>& communicator, const Devices& devices)
      : tables(communicator),
        layer(tables, changing(devices)),
        sharing(tables, shared()),
        other(tables, items("other")) {}

  static LayerOptions changing(const Devices& devices) {
    LayerOptions options = owned(devices);
    options.restrict_policy = "frequency";
    options.max_rows = 5;
    options.restrict_every = 1;
    options.init_capacity = 100;
    options.admit_after = 2;
    options.optimizer = Adagrad{1};
    return options;
  }

  static LayerOptions shared() {
    LayerOptions options = items("sharing");
    options.share = "items";
    return options;
  }

  void train(Stream<Cpu>& stream) {
    Batch batch(tables.communicator());
    for (int step = 0; step < 5; ++step) {
      for (SquashedEmbedding<Cpu>* each : {&layer, &sharing, &other}) {
        const LayerOutput<Cpu> output = (*each)(stream, batch.view(), batch.call());
        each->backward(stream, output, output.values.data());
      }
      tables.apply(stream, {1.0f, 12});
      for (Key& key : batch.ids) {
        key = (key * 5 + 3) % 14;
      }
    }
  }
};

/// All rows of the two tables after some steps.
Rows rows_of_job(int ranks, const Devices& devices) {
  Rows rows;
  std::mutex mutex;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Layers layers(communicator, devices);
    layers.train(stream);
    EXPECT_EQ(layers.layer.count_params(), 2 * 5);
    const std::lock_guard lock(mutex);
    for (SquashedEmbedding<Cpu>* each : {&layers.layer, &layers.other}) {
      const LayerWeights mine = each->get_weights();
      for (std::size_t i = 0; i < mine.keys.size(); ++i) {
        const Key place = mine.keys[i] + (each == &layers.layer ? 0 : 1000);
        rows[place] = {mine.values[2 * i], mine.values[2 * i + 1]};
      }
    }
  });
  return rows;
}

TEST(Devices, DecideNoResult) {
  const Rows expected = rows_of_job(1, {});
  EXPECT_GT(expected.size(), 5u);
  EXPECT_EQ(rows_of_job(1, {"cpu:0"}), expected);
  EXPECT_EQ(rows_of_job(2, {"cpu:1"}), expected);
  EXPECT_EQ(rows_of_job(3, {"cpu:2", "cpu:0"}), expected);
  EXPECT_EQ(rows_of_job(4, {"cpu:3"}), expected);
  EXPECT_EQ(rows_of_job(4, {"cpu:3", "cpu:2", "cpu:1", "cpu:0"}), expected);
}

TEST(Devices, OfASharedTableAreItsOwnOrNotGiven) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    const SquashedEmbedding<Cpu> layer(tables, owned({"cpu:1"}));
    const auto share = [&](const std::string& name, const Devices& devices) {
      LayerOptions options = owned(devices);
      options.name = name;
      options.share = "items";
      const SquashedEmbedding<Cpu> sharing(tables, options);
      EXPECT_EQ(&sharing.table(), &layer.table());
    };
    share("a", {});
    share("b", {"cpu:1"});
    EXPECT_EQ(message_of([&] {
                share("c", {"cpu:1", "cpu:0"});
              }),
              "layer c: expected devices of the shared table items, or none given: found [cpu:1, "
              "cpu:0]");
  });
}

TEST(Devices, ThatTheJobLacksAreRefusedOnEveryRank) {
  for (const int ranks : {1, 3}) {
    run_ranks(ranks, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
      TableSet<Cpu> tables(communicator);
      for (const Devices& devices :
           {Devices{"cpu:3"}, {"gpu:0"}, {"cpu:0", "cpu:0"}, {"cpu"}, {""}}) {
        message_of([&] { const SquashedEmbedding<Cpu> layer(tables, owned(devices)); });
      }
      const SquashedEmbedding<Cpu> layer(tables, owned({"cpu:0"}));  // the name is still free
    });
  }
}

TEST(Devices, OfATableOfAProgramAreItsOwners) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    TableOptions options;
    options.name = "items";
    options.groups = {{"values", 2, Constant{0.5f}, {}, Sgd{1}, {}}};
    options.owners = {0, 2};
    EXPECT_EQ(message_of([&] { tables.create(options); }),
              "table items: expected owners among the ranks 0 to 1, each once: found 0, 2");
    options.owners = {1};
    EXPECT_EQ(tables.create(options).shards().size(), communicator.rank() == 1 ? kShards : 0);
  });
}

}  // namespace
}  // namespace keyshard::testing
