// Layers with the rules of a program (tests/support/own_rules.hpp): their results by hand, the same
// on any number of ranks, and their configurations.
#include "tests/support/own_rules.hpp"

#include <map>
#include <mutex>

#include "embedding/layers/embedding.hpp"
#include "embedding/layers/field_wise_embedding.hpp"
#include "embedding/rows/restrict.hpp"
#include "runtime/json.hpp"
#include "tests/embedding/layers/layer_on_ranks.hpp"

namespace keyshard::testing {
namespace {

/// Column `name` of a key, on the rank that has the key; empty on the others.
std::vector<float> column_of(const Table<Cpu>& table, Stream<Cpu>& stream, Key key,
                             const std::string& name) {
  RowId row = kNoRow;
  if (table.shards().contains(shard_of(table.partitioner(), key))) {
    table.find(stream, Span<const Key>(&key, 1), &row);
  }
  std::vector<float> numbers;
  for (const RowColumn& column : table.columns()) {
    if (row != kNoRow && column.name == name) {
      numbers.resize(static_cast<std::size_t>(column.width));
      table.copy_column(Span<const RowId>(&row, 1), column, numbers.data());
    }
  }
  return numbers;
}

/// The batch of the tests of combiners: a bag per slice.
struct Bags {
  std::vector<Key> ids;
  std::vector<std::int64_t> offsets{0};
  SliceLayout slices;

  Bags(const Communicator<Cpu>& communicator, const std::vector<std::vector<Key>>& all)
      : slices{
            static_cast<std::int64_t>(all.size()),
            run_of(communicator.rank(), communicator.size(), static_cast<std::int64_t>(all.size())),
            {0}} {
    for (std::int64_t s = slices.run.begin; s < slices.run.end; ++s) {
      const std::vector<Key>& bag = all[static_cast<std::size_t>(s)];
      ids.insert(ids.end(), bag.begin(), bag.end());
      offsets.push_back(static_cast<std::int64_t>(ids.size()));
      slices.offsets.push_back(slices.offsets.back() + 1);
    }
  }

  IdsView view() const { return {ids, {}, offsets}; }

  CallOptions call() const { return {.training = true, .slices = &slices, .mask = {}}; }
};

/// Outputs of all samples, and the rows of keys 0 to 9 after a step whose gradient of bag b is
/// b + 1.
struct Outcome {
  std::vector<float> outputs;
  std::map<Key, std::vector<float>> rows;

  bool operator==(const Outcome&) const = default;
};

Outcome step_of(const LayerOptions& options, const std::vector<std::vector<Key>>& bags, int ranks) {
  std::map<int, std::vector<float>> outputs;
  Outcome all;
  std::mutex mutex;
  run_ranks(ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, options);
    const Bags batch(communicator, bags);
    const LayerOutput<Cpu> output = layer(stream, batch.view(), batch.call());
    std::vector<float> upstream;
    for (std::int64_t b = batch.slices.run.begin; b < batch.slices.run.end; ++b) {
      upstream.insert(upstream.end(), static_cast<std::size_t>(options.embedding_size),
                      static_cast<float>(b + 1));
    }
    layer.backward(stream, output, upstream.data());
    tables.apply(stream, {1.0f, static_cast<std::int64_t>(bags.size())});
    const std::lock_guard lock(mutex);
    outputs[communicator.rank()] = {output.values.data(),
                                    output.values.data() + output.values.size()};
    for (Key key = 0; key < 10; ++key) {
      const std::vector<float> row = column_of(layer.table(), stream, key, "values/values");
      if (!row.empty()) {
        all.rows[key] = row;
      }
    }
  });
  for (const auto& [rank, values] : outputs) {
    all.outputs.insert(all.outputs.end(), values.begin(), values.end());
  }
  return all;
}

TEST(OwnOptimizer, StepsRowsAndKeepsItsStatesOnAnyNumberOfRanks) {
  LayerOptions options = items();
  options.initializer = Constant{2};
  options.optimizer = own_optimizer(Doubling{});
  on_ranks(
      [](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
        // Two steps with a gradient of 1: w = 2 - 0.5 * 2 * 1 - 0.5 * 4 * 1.
        for (int step = 0; step < 2; ++step) {
          const Batch batch(tables.communicator());
          const auto output = layer(stream, batch.view(), batch.call());
          const std::vector<float> ones(2 * batch.ids.size(), 1.0f);
          layer.backward(stream, output, ones.data());
          tables.apply(stream, {1.0f, 12});
        }
        const Table<Cpu>& table = layer.table();
        if (table.shards().contains(shard_of(table.partitioner(), 7))) {
          using Numbers = std::vector<float>;
          EXPECT_EQ(column_of(table, stream, 7, "values/values"), (Numbers{-1, -1}));
          EXPECT_EQ(column_of(table, stream, 7, "state/values/count"), Numbers{2});
          EXPECT_EQ(column_of(table, stream, 7, "state/values/seen"), (Numbers{5, 5}));
        }
      },
      options);
}

TEST(OwnInitializer, SaysWhatMissingKeysReadAs) {
  LayerOptions options = items();
  options.initializer = own_initializer(KeyedRow{10});
  on_ranks(
      [](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>&, Stream<Cpu>& stream) {
        const std::vector<Key> ids{4, 7, 4};
        const auto output = layer.forward(stream, {ids, {3, 1}, {}}, false);
        EXPECT_EQ(std::vector<float>(output.values.data(), output.values.data() + 6),
                  (std::vector<float>{40, 41, 70, 71, 40, 41}));
      },
      options);
}

TEST(OwnCombiner, GetsTheRowsInTheOrderOfTheBag) {
  LayerOptions options = items();
  options.embedding_size = 1;
  options.initializer = own_initializer(KeyedRow{});
  options.combiner = own_combiner(LastMinusFirst{});
  // Rows are the keys; upstream gradients 1 to 5. A row is its key minus its gradient: 9 is the
  // first of bag 1 (-2), 3 the last (1); 4 alone in bag 2 gets 2 (1 - 2); 5 is first and last of
  // bag 3, 8 in its middle; bag 5 has 3 last (5) and 4 first (-10).
  const Outcome expected{
      {3 - 18, -4, -5, 0, 3 - 8},
      {{3, {3 - 1 - 5}}, {4, {4 + 2 + 10}}, {5, {5 + 3}}, {8, {8}}, {9, {9 + 2}}}};
  const std::vector<std::vector<Key>> bags{{9, 3}, {4}, {5, 8, 5}, {}, {4, 3}};
  for (const PoolOrder order : {PoolOrder::bag, PoolOrder::shard}) {
    options.pool_order = order;
    options.exchange = order == PoolOrder::shard ? ExchangeMode::automatic : ExchangeMode::rows;
    for (const int ranks : {1, 2, 3, 5}) {
      const Outcome found = step_of(options, bags, ranks);
      EXPECT_EQ(found.outputs, expected.outputs) << ranks;
      EXPECT_EQ(found.rows, expected.rows) << ranks;
    }
  }
}

/// The mean of the rows of a bag, as Mean adds and divides.
struct OwnMean {
  void forward(const BagRows& rows, float* out) const {
    for (std::int64_t d = 0; d < rows.dim; ++d) {
      float sum = rows[0][d];
      for (std::int64_t j = 1; j < rows.size(); ++j) {
        sum = sum + rows[j][d];
      }
      out[d] = sum / static_cast<float>(rows.size());
    }
  }

  void backward(const BagRows& rows, const float* gradient, const BagGradients& gradients) const {
    for (std::int64_t j = 0; j < rows.size(); ++j) {
      for (std::int64_t d = 0; d < rows.dim; ++d) {
        gradients[j][d] = gradient[d] / static_cast<float>(rows.size());
      }
    }
  }
};

TEST(OwnCombiner, ThatIsTheMeanHasTheBitsOfTheMean) {
  LayerOptions options = items();
  options.embedding_size = 5;
  options.initializer = Normal{};
  const std::vector<std::vector<Key>> bags{{9, 3, 1, 9}, {4, 2, 1}, {}, {5, 8, 5, 0, 1, 7}, {6}};
  options.combiner = "mean";
  const Outcome expected = step_of(options, bags, 1);
  options.combiner = own_combiner(OwnMean{});
  for (const int ranks : {1, 2, 4}) {
    EXPECT_EQ(step_of(options, bags, ranks), expected) << ranks;
  }
}

TEST(OwnCombiner, ReducesFurtherAxesWithoutWhatIsMasked) {
  LayerOptions options = items();
  options.embedding_size = 2;
  options.initializer = own_initializer(KeyedRow{});
  options.combiner = own_combiner(LastMinusFirst{});
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, options);
    // One sample of ids [2, 3]; positions 0 and 2 have one id each, all of position 1 is masked.
    const std::vector<Key> ids{10, 20, 30, 40, 50, 60};
    const std::vector<std::uint8_t> mask{1, 0, 0, 0, 0, 1};
    const auto output =
        layer(stream, {ids, {1, 2, 3}, {}}, {.training = true, .slices = nullptr, .mask = mask});
    // Bags: {10} -> -(10, 11), none, {60} -> -(60, 61). Then: -(60, 61) + 2 (10, 11).
    EXPECT_EQ(std::vector<float>(output.values.data(), output.values.data() + 2),
              (std::vector<float>{-40, -39}));
    const float upstream[] = {1, 1};
    layer.backward(stream, output, upstream);
    tables.apply(stream, {1.0f, 1});
    // Of 60: 1 for the last vector, -1 for a bag of one. Of 10: -2 and -1.
    EXPECT_EQ(column_of(layer.table(), stream, 60, "values/values"), (std::vector<float>{61, 62}));
    EXPECT_EQ(column_of(layer.table(), stream, 10, "values/values"), (std::vector<float>{8, 9}));
    EXPECT_EQ(layer.table().size(), 2);
  });
}

TEST(OwnCombiner, IsRefusedWhereItHasNoMeaning) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = items();
    options.combiner = own_combiner(LastMinusFirst{});
    options.pool_order = PoolOrder::shard;
    options.exchange = ExchangeMode::reduced;
    EXPECT_EQ(message_of([&] { SquashedEmbedding<Cpu>(tables, options); }),
              "feature items: combiner last_minus_first of the program has no state that owners "
              "could reduce; give table items exchange \"rows\", or \"auto\", which then takes "
              "rows, or make the "
              "combiner of a struct with a state (own_state_combiner)");
    options = items("others");
    options.combiner = own_combiner(LastMinusFirst{});
    options.empty_bag = "tf";
    EXPECT_NE(message_of([&] { SquashedEmbedding<Cpu>(tables, options); }).find("empty_bag"),
              std::string::npos);
    options.empty_bag = "zeros";
    SquashedEmbedding<Cpu> layer(tables, options);
    const std::vector<Key> ids{1};
    const std::vector<float> weights{1};
    EXPECT_NE(message_of([&] {
                layer(stream, {ids, {1, 1}, {}},
                      {.training = true, .slices = nullptr, .mask = {}, .weights = weights});
              }).find("last_minus_first"),
              std::string::npos);
  });
}

TEST(OwnPartitioner, PlacesRowsAndRefusesAKeyWithoutAShardOnAllRanks) {
  LayerOptions options = items();
  options.partitioner = own_partitioner(ByEight{});
  run_ranks(2, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, options);
    // Shards 0 to 511 are those of rank 0: keys below 4096.
    const std::vector<Key> ids{4095, 4096, 4100};
    const auto output = layer.forward(stream, {ids, {3, 1}, {}});
    layer.backward(stream, output, output.values.data());
    tables.apply(stream, {1.0f, 6});
    EXPECT_EQ(layer.table().size(), communicator.rank() == 0 ? 1 : 2);
    const std::vector<Key> more{communicator.rank() == 0 ? Key{8192} : Key{1}};
    try {
      layer.forward(stream, {more, {1, 1}, {}});
      ADD_FAILURE() << "a key without a shard was looked up";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(),
                communicator.rank() == 0 ? Kind::invalid_argument : Kind::communication);
    }
    EXPECT_NO_THROW(layer.forward(stream, {ids, {3, 1}, {}}));
  });
}

TEST(OwnPolicy, SaysWhichRowsStay) {
  LayerOptions options = items();
  options.restrict_policy = own_policy(Freshness{});
  on_ranks(
      [](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
        // Keys 0 to 2 are stepped three times, 3 and 4 twice, 5 once. Each rank gives the same ids.
        for (const Key last : {Key{2}, Key{4}, Key{5}}) {
          std::vector<Key> ids;
          for (Key key = 0; key <= last; ++key) {
            ids.push_back(key);
          }
          const auto output =
              layer.forward(stream, {ids, {static_cast<std::int64_t>(ids.size()), 1}, {}});
          layer.backward(stream, output, output.values.data());
          tables.apply(stream, {1.0f, 1});
        }
        restrict_rows(stream, tables.communicator(), layer.table(), 4, 0);
        // 5 has 90, then 3 and 4 have 80, then the lowest key of those with 70.
        std::vector<Key> left = layer.get_weights().keys;
        for (const Key key : left) {
          EXPECT_TRUE(key == 5 || key == 3 || key == 4 || key == 0) << key;
        }
        auto count = static_cast<std::int64_t>(left.size());
        tables.communicator().all_reduce(Span<std::int64_t>(&count, 1), Reduction::sum);
        EXPECT_EQ(count, 4);
      },
      options);
}

/// Options with all of the rules, which `functions` may register.
LayerOptions with_own_rules() {
  LayerOptions options = items();
  options.optimizer = own_optimizer(Doubling{0.25f});
  options.initializer = own_initializer(KeyedRow{3});
  options.combiner = own_combiner(LastMinusFirst{});
  options.partitioner = own_partitioner(ByEight{});
  options.restrict_policy = own_policy(Freshness{});
  return options;
}

TEST(OwnRulesOfLayers, AreFoundAgainByTheirNames) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    const auto second_world = communicator.duplicate(), third_world = communicator.duplicate();
    TableSet<Cpu> tables(communicator), others(*second_world), more(*third_world);
    const SquashedEmbedding<Cpu> layer(tables, with_own_rules());
    const std::string text = json_text(layer.get_config());
    for (const char* part :
         {R"("optimizer":{"type":"doubling","learning_rate":0.25})",
          R"("initializer":{"type":"keyed_row","times":3.0})", R"("combiner":"last_minus_first")",
          R"("partitioner":"by_eight")", R"("restrict_policy":"freshness")"}) {
      EXPECT_NE(text.find(part), std::string::npos) << text;
    }
    UserFunctions<Cpu> functions;
    functions.rules = own_rules();
    const auto other =
        SquashedEmbedding<Cpu>::from_config(others, parse_json(text, "config"), functions);
    EXPECT_EQ(json_text(other.get_config()), text);
    EXPECT_EQ(learning_rate_of(other.table().options().groups[0].optimizer), 0.25f);
    EXPECT_TRUE(std::holds_alternative<OwnPolicy>(other.table().options().restrict_policy));
    // Options in code may give the names of registered rules, too.
    LayerOptions named = items();
    named.combiner = "last_minus_first";
    named.partitioner = "by_eight";
    named.restrict_policy = "freshness";
    const SquashedEmbedding<Cpu> third(more, named, functions);
    EXPECT_TRUE(std::holds_alternative<OwnPartitioner>(third.table().partitioner()));
  });
}

TEST(OwnRulesOfLayers, AnUnknownNameIsNoLayer) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    const LayerOptions all = with_own_rules();
    std::vector<LayerOptions> one_each(5, items());
    one_each[0].optimizer = all.optimizer;
    one_each[1].initializer = all.initializer;
    one_each[2].combiner = all.combiner;
    one_each[3].partitioner = all.partitioner;
    one_each[4].restrict_policy = all.restrict_policy;
    const std::vector<std::string> names{"doubling", "keyed_row", "last_minus_first", "by_eight",
                                         "freshness"};
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto another = communicator.duplicate();
      TableSet<Cpu> tables(communicator), others(*another);
      const SquashedEmbedding<Cpu> layer(tables, one_each[i]);
      const SettingValue config = layer.get_config();
      const std::string text =
          message_of([&] { SquashedEmbedding<Cpu>::from_config(others, config); });
      EXPECT_NE(text.find("found \"" + names[i] + "\""), std::string::npos) << text;
      EXPECT_TRUE(others.tables().empty());
    }
  });
}

TEST(OwnRulesOfLayers, WithoutANameWorkButHaveNoConfig) {
  std::map<std::string, LayerOptions> all;
  all["an optimizer"].optimizer = own_optimizer(UnnamedOptimizer{});
  all["an initializer"].initializer = own_initializer(UnnamedInitializer{});
  all["a combiner"].combiner = own_combiner(OwnMean{});
  all["a partitioner"].partitioner = own_partitioner(UnnamedPartitioner{});
  all["a restrict_policy"].restrict_policy = own_policy(UnnamedPolicy{});
  for (auto& [kind, options] : all) {
    options.name = "items";
    options.embedding_size = 2;
    run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      SquashedEmbedding<Cpu> layer(tables, options);
      const std::vector<Key> ids{1, 2, 3};
      const auto output = layer.forward(stream, {ids, {1, 3}, {}});
      layer.backward(stream, output, output.values.data());
      tables.apply(stream, {1.0f, 2});
      EXPECT_EQ(layer.count_params(), 6);
      EXPECT_EQ(message_of([&] { layer.get_config(); }),
                "layer items: expected " + kind +
                    " that is registered under a name, for get_config: found one without (kName "
                    "of its struct)");
    });
  }
}

}  // namespace
}  // namespace keyshard::testing
