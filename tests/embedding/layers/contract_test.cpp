// Lines of the contract of layers that no other test has: what an inference or a frozen layer
// leaves alone, what a missing key reads as, ranks without ids, and rows that were set by hand.
#include <bit>
#include <map>
#include <mutex>
#include <numeric>

#include "embedding/layers/embedding.hpp"
#include "embedding/layers/field_wise_embedding.hpp"
#include "embedding/rows/restrict.hpp"
#include "runtime/copy.hpp"
#include "runtime/digest.hpp"
#include "tests/embedding/layers/layer_on_ranks.hpp"
#include "tests/support/own_rules.hpp"

namespace keyshard::testing {
namespace {

/// The status of every key of this rank.
std::map<Key, std::uint32_t> statuses_of(const Table<Cpu>& table) {
  std::map<Key, std::uint32_t> statuses;
  for (const RowColumn& column : table.columns()) {
    for (std::int64_t shard = table.shards().begin;
         column.name.starts_with("status") && shard < table.shards().end; ++shard) {
      const ShardRows rows = table.shard_rows(shard);
      std::vector<float> bits(rows.keys.size());
      table.copy_column(rows.rows, column, bits.data());
      for (std::size_t i = 0; i < bits.size(); ++i) {
        statuses[rows.keys[i]] = std::bit_cast<std::uint32_t>(bits[i]);
      }
    }
  }
  return statuses;
}

TEST(Contract, AnInferenceAndAFrozenLayerCountNoSightingAndNoStatus) {
  LayerOptions options = items();
  options.admit_after = 2;
  options.restrict_policy = "frequency";
  on_ranks(
      [](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
        const Batch batch(tables.communicator());
        const std::vector<float> upstream(batch.ids.size() * 2, 1);
        const auto train = [&](bool trainable) {
          layer.set_trainable(trainable);
          layer.backward(stream, layer(stream, batch.view(), batch.call()), upstream.data());
          tables.apply(stream, {});
        };
        const auto leave_alone = [&] {
          layer.set_trainable(true);
          layer(stream, batch.view(), {.training = false});
          tables.apply(stream, {});
          train(false);
          train(false);
        };
        leave_alone();
        train(true);  // the first sighting
        leave_alone();
        EXPECT_EQ(layer.count_params(), 0);
        train(true);  // the second one
        EXPECT_EQ(layer.count_params(), 2 * 12);
        train(true);
        const std::map<Key, std::uint32_t> before = statuses_of(layer.table());
        const LayerWeights rows = layer.get_weights();
        leave_alone();
        EXPECT_EQ(statuses_of(layer.table()), before);
        EXPECT_EQ(layer.get_weights(), rows);
        train(true);
        for (const auto& [key, status] : statuses_of(layer.table())) {
          EXPECT_EQ(status, before.at(key) + 1) << key;
        }
      },
      options);
}

/// Rows of 5, 9 and 5 again, as every rank reads them in its own places of the batch.
TEST(Contract, AMissingKeyReadsTheSameOnEveryRankAndAtEveryPlace) {
  std::map<Key, std::vector<float>> reads;
  std::mutex mutex;
  const auto read = [&](const std::string& name, std::optional<std::uint64_t> seed, int ranks) {
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      LayerOptions options = items(name);
      options.initializer = Normal{};
      options.seed = seed;
      Embedding<Cpu> layer(tables, options);
      std::vector<Key> ids(static_cast<std::size_t>(communicator.rank()), Key{77});
      ids.insert(ids.end(), {5, 9, 5});
      const LayerOutput<Cpu> output = layer(stream, {ids, {std::ssize(ids)}, {}});
      const std::lock_guard lock(mutex);
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const float* row = output.values.data() + 2 * i;
        const auto [known, is_new] = reads.try_emplace(ids[i], std::vector<float>{row, row + 2});
        EXPECT_EQ(known->second, (std::vector<float>{row, row + 2})) << ids[i];
      }
    });
  };
  read("items", 7, 1);
  read("items", 7, 4);
  read("others", 7, 2);  // the seed decides, not the name
  const auto first = reads;
  reads.clear();
  read("items", 8, 1);
  EXPECT_NE(reads.at(5), first.at(5));
  EXPECT_NE(first.at(5), first.at(9));
  EXPECT_NE(first.at(5)[0], first.at(5)[1]);
}

/// What keys 5 and 9 read as in a layer without a seed of its own.
std::vector<float> initial_rows(std::uint64_t job_seed, const std::string& name) {
  std::vector<float> rows;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator, job_seed);
    LayerOptions options = items(name);
    options.initializer = Normal{};
    Embedding<Cpu> layer(tables, options);
    EXPECT_EQ(layer.table().options().seed, hash_bytes(name, job_seed));
    const std::vector<Key> ids{5, 9};
    rows = to_host(stream, layer(stream, {ids, {2}, {}}).values);
  });
  return rows;
}

TEST(Contract, TheSeedOfATableIsAHashOfThatOfTheJobAndOfTheName) {
  EXPECT_EQ(initial_rows(7, "items"), initial_rows(7, "items"));
  EXPECT_NE(initial_rows(7, "items"), initial_rows(8, "items"));
  EXPECT_NE(initial_rows(7, "items"), initial_rows(7, "others"));
}

struct OneSlot {
  KEYSHARD_HD std::int64_t operator()(Key) const { return 0; }
};

TEST(Contract, RanksWithoutIdsTakePartInEveryLayer) {
  for (const int giver : {0, 1, 2}) {
    run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      SquashedEmbedding<Cpu> squashed(tables, items("squashed"));
      Embedding<Cpu> plain(tables, items("plain"));
      FieldWiseEmbedding<Cpu> slots(tables, items("slots"), 1, slot_map<Cpu>("one", OneSlot{}));
      const std::vector<Key> ids =
          communicator.rank() == giver ? std::vector<Key>{3, 4} : std::vector<Key>{};
      const std::int64_t samples = std::ssize(ids) / 2;
      const std::vector<float> upstream(4, 1);
      const auto train = [&](auto& layer, const IdsView& view) {
        const LayerOutput<Cpu> output = layer(stream, view);
        EXPECT_EQ(output.shape.front(), view.shape.size() == 1 ? std::ssize(ids) : samples);
        layer.backward(stream, output, upstream.data());
      };
      train(squashed, {ids, {samples, 2}, {}});
      train(plain, {ids, {std::ssize(ids)}, {}});
      train(slots, {ids, {samples, 2}, {}});
      tables.apply(stream, {});
      EXPECT_EQ(squashed.count_params(), 4);
      EXPECT_EQ(plain.count_params(), 4);
      EXPECT_EQ(slots.count_params(), 4);
    });
  }
}

TEST(Contract, RowsThatWereSetByHandHaveAStatusAndLeaveFirst) {
  LayerOptions options = items();
  options.restrict_policy = "frequency";
  on_ranks(
      [](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
        layer.build({std::nullopt, 1});
        LayerWeights weights{"float32", 2, {}, {}};
        if (tables.communicator().rank() == 0) {
          weights = {"float32", 2, {1, 2, 3, 100, 101}, std::vector<float>(10, 1)};
        }
        layer.set_weights(stream, weights);
        for (const auto& [key, status] : statuses_of(layer.table())) {
          EXPECT_EQ(status, 0u) << key;
        }
        const Batch batch(tables.communicator());  // the keys 0 .. 11
        layer.backward(stream, layer(stream, batch.view(), batch.call()),
                       std::vector<float>(batch.ids.size() * 2, 1).data());
        tables.apply(stream, {});
        EXPECT_EQ(layer.count_params(), 2 * 14);
        restrict_rows(stream, tables.communicator(), layer.table(), 12, 0);
        const LayerWeights mine = layer.get_weights();
        for (const Key key : tables.communicator().gather_joined(Span<const Key>(mine.keys))) {
          EXPECT_LT(key, 12u);
        }
        EXPECT_EQ(layer.count_params(), 2 * 12);
      },
      options);
}

TEST(Contract, AScalarIsARowOfAnEmbeddingAndNoBag) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
    const std::vector<Key> ids{7};
    const IdsView scalar{ids, {}, {}};
    EXPECT_EQ(message_of([&] { layer.build({}); }),
              "Input 0 of layer items is incompatible with the layer: expected min_ndim=1, found "
              "ndim=0. Full shape received: []");
    EXPECT_EQ(message_of([&] { layer.compute_output_shape(FreeShape{}); }),
              "layer items: expected ids of rank 1 or more: found a scalar (shape [])");
    EXPECT_THROW(layer(stream, scalar), Error);
    LayerOptions options = items("rows");
    Embedding<Cpu> rows(tables, options);
    const LayerOutput<Cpu> output = rows(stream, scalar);
    EXPECT_EQ(output.shape, std::vector<std::int64_t>{2});
    EXPECT_EQ(to_host(stream, output.values), (std::vector<float>{0.5f, 0.5f}));
    EXPECT_EQ(layer(stream, {ids, {1}, {}}).shape, std::vector<std::int64_t>{2});
  });
}

TEST(Contract, StdOfThreeAxesIsAStdOfStds) {
  LayerOptions options = items();
  options.combiner = "std";
  on_ranks(
      [](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
        layer.build({1, 1});
        LayerWeights weights{"float32", 2, {}, {}};
        if (tables.communicator().rank() == 0) {
          weights = {"float32", 2, {1, 2, 3, 6}, {1, 1, 2, 2, 3, 3, 6, 6}};
        }
        layer.set_weights(stream, weights);
        // Axis 1 goes first: the stds of (1, 2) and of (3, 6) are 0.5 and 1.5, and theirs is 0.5;
        // the std of all four is 1.87.
        const std::vector<Key> ids{1, 3, 2, 6};
        EXPECT_EQ(to_host(stream, layer(stream, {ids, {1, 2, 2}, {}}).values),
                  (std::vector<float>{0.5f, 0.5f}));
      },
      options);
}

TEST(Contract, ALayerThatSharesATableIsFrozenAlone) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
    LayerOptions options = items("frozen");
    options.share = "items";
    options.trainable = false;
    SquashedEmbedding<Cpu> frozen(tables, options);
    layer.build({1, 1});
    const Batch batch(tables.communicator());
    const std::vector<float> ones(batch.ids.size() * 2, 1);
    const auto train = [&](SquashedEmbedding<Cpu>& which) {
      which.backward(stream, which(stream, batch.view(), batch.call()), ones.data());
    };
    train(frozen);
    tables.apply(stream, {});
    EXPECT_EQ(layer.count_params() + frozen.count_params(), 0);
    EXPECT_TRUE(frozen.trainable_weights().empty());
    EXPECT_EQ(layer.trainable_weights().size(), 1u);
    train(frozen);
    train(layer);
    tables.apply(stream, {});
    for (const float value : frozen.get_weights().values) {
      EXPECT_EQ(value, 0.5f - 1);  // of the one layer that trains
    }
  });
}

TEST(Contract, GrowthMovesNoRow) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = items();
    options.init_capacity = 10;
    Embedding<Cpu> layer(tables, options);
    Table<Cpu>& table = layer.table();
    std::vector<Key> keys(100'000);
    std::iota(keys.begin(), keys.end(), Key{0});
    const Span<const Key> first = Span<const Key>(keys).first(100);
    std::vector<RowId> before(100), after(100), all(keys.size());
    table.find_or_insert(stream, first, before.data());
    std::vector<const float*> places;
    for (const RowId row : before) {
      places.push_back(table.ref(nullptr).store.row(row));
    }
    table.find_or_insert(stream, keys, all.data());
    table.find(stream, first, after.data());
    EXPECT_EQ(after, before);
    for (std::size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(table.ref(nullptr).store.row(after[i]), places[i]);
    }
  });
}

/// Tables answered in reduced form on rank 0, where a bag on each of two ranks has 512 keys.
std::int64_t reduced_tables(const LayerOptions& options) {
  std::int64_t reduced = -1;
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, options);
    std::vector<Key> ids(512);
    std::iota(ids.begin(), ids.end(), Key{1});
    const LayerOutput<Cpu> output = layer(stream, {ids, {1, 512}, {}});
    if (communicator.rank() == 0) {
      reduced = output.trace.traffic().reduced_tables;
    }
  });
  return reduced;
}

TEST(Contract, ACombinerOfAProgramTakesRowsWhereAutoReducesABuiltInOneAndTheTrafficSaysSo) {
  LayerOptions options = items();
  options.embedding_size = 32;
  options.pool_order = PoolOrder::shard;
  options.exchange = ExchangeMode::automatic;
  options.combiner = "mean";
  EXPECT_EQ(reduced_tables(options), 1);
  options.combiner = own_combiner(LastMinusFirst{});
  EXPECT_EQ(reduced_tables(options), 0);
}

TEST(Contract, CombinersThatAreNoneOfNumbersAreRefusedWithTheNames) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    for (const char* name : {"any", "all", "median"}) {
      LayerOptions options = items();
      options.combiner = name;
      const std::string message = message_of([&] { SquashedEmbedding<Cpu>(tables, options); });
      for (const char* known : {"sum", "mean", "min", "max", "prod", "variance", "std", "logsumexp",
                                "euclidean_norm", "sqrtn"}) {
        EXPECT_NE(message.find(known), std::string::npos) << message;
      }
    }
    EXPECT_TRUE(tables.tables().empty());
  });
}

}  // namespace
}  // namespace keyshard::testing
