// get_config and from_config for every option, and the options that are refused.
#include "embedding/layers/layer_config.hpp"

#include <functional>
#include <map>

#include <gtest/gtest.h>

#include "embedding/layers/devices.hpp"
#include "embedding/layers/dtype_policy.hpp"
#include "embedding/layers/field_wise_embedding.hpp"
#include "embedding/layers/squashed_embedding.hpp"
#include "runtime/error.hpp"
#include "runtime/json.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

using Change = std::function<void(LayerOptions&)>;

LayerOptions items() {
  LayerOptions options;
  options.name = "items";
  options.embedding_size = 2;
  return options;
}

/// A value other than the default for every option, by the key that it has in a config.
const std::map<std::string, Change> kChanges{
    {"name", [](LayerOptions& o) { o.name = "users"; }},
    {"embedding_size", [](LayerOptions& o) { o.embedding_size = 3; }},
    {"key_dtype", [](LayerOptions& o) { o.key_dtype = "uint64"; }},
    {"value_dtype", [](LayerOptions& o) { o.value_dtype = "float16"; }},
    {"dtype_policy", [](LayerOptions& o) { o.dtype_policy = "mixed_float16"; }},
    {"combiner", [](LayerOptions& o) { o.combiner = "mean"; }},
    {"empty_bag", [](LayerOptions& o) { o.empty_bag = "tf"; }},
    {"padding_id", [](LayerOptions& o) { o.padding_id = ~Key{0}; }},
    {"share", [](LayerOptions& o) { o.share = "other"; }},
    {"trainable", [](LayerOptions& o) { o.trainable = false; }},
    {"activity_regularizer",
     [](LayerOptions& o) {
       o.activity_regularizer = ActivityOptions{0.1, 0.25, ""};
     }},
    {"initializer",
     [](LayerOptions& o) {
       o.initializer = Uniform{-0.3f, 0.1f};
     }},
    {"optimizer",
     [](LayerOptions& o) {
       o.optimizer = Adagrad{0.1f, 0.3f, 1e-5f, false};
     }},
    {"l2", [](LayerOptions& o) { o.regularization.l2 = 0.1f; }},
    {"l2_per", [](LayerOptions& o) { o.regularization.l2_per_occurrence = true; }},
    {"weight_decay", [](LayerOptions& o) { o.regularization.weight_decay = 0.01f; }},
    {"clip_value", [](LayerOptions& o) { o.regularization.clip_value = 0.5f; }},
    {"clip_norm", [](LayerOptions& o) { o.regularization.clip_norm = 2.0f; }},
    {"max_norm", [](LayerOptions& o) { o.max_norm = 1.5; }},
    {"bp_v2", [](LayerOptions& o) { o.bp_v2 = true; }},
    {"partitioner", [](LayerOptions& o) { o.partitioner = "modulo"; }},
    {"init_capacity", [](LayerOptions& o) { o.init_capacity = 4096; }},
    {"seed", [](LayerOptions& o) { o.seed = ~std::uint64_t{6}; }},
    {"missing", [](LayerOptions& o) { o.missing = Missing::zeros; }},
    {"exchange", [](LayerOptions& o) { o.exchange = ExchangeMode::automatic; }},
    {"pool_order", [](LayerOptions& o) { o.pool_order = PoolOrder::shard; }},
    {"restrict_policy", [](LayerOptions& o) { o.restrict_policy = "frequency"; }},
    {"max_rows", [](LayerOptions& o) { o.max_rows = 100; }},
    {"restrict_every", [](LayerOptions& o) { o.restrict_every = 7; }},
    {"admit_after", [](LayerOptions& o) { o.admit_after = 3; }},
    {"admit_probability", [](LayerOptions& o) { o.admit_probability = 0.25; }},
    {"kv_creator", [](LayerOptions& o) { o.kv_creator = RocksDbRows{"rows"}; }},
    {"keep_distribution", [](LayerOptions& o) { o.keep_distribution = true; }},
    {"devices", [](LayerOptions& o) {
       o.devices = {"cpu:0", "cpu:1"};
       o.keep_distribution = true;
     }}};

RedisRows redis_with(std::int64_t port, const std::string& user) {
  RedisRows rows;
  rows.port = port;
  rows.user = user;
  return rows;
}

std::string text_of(const LayerOptions& options) { return json_text(layer_config(options)); }

TEST(LayerConfig, HasAKeyForEveryOption) {
  const SettingValue config = layer_config(items());
  const auto& table = std::get<SettingValue::Table>(config.value);
  EXPECT_EQ(table.size(), kChanges.size());
  for (const auto& [key, value] : table) {
    EXPECT_EQ(kChanges.count(key), 1u) << key;
  }
}

TEST(LayerConfig, EveryOptionSurvivesTheWayThroughJson) {
  const std::string usual = text_of(items());
  for (const auto& [key, change] : kChanges) {
    LayerOptions options = items();
    change(options);
    const std::string text = text_of(options);
    const SettingValue config = parse_json(text, "config");
    EXPECT_NE(json_text(*member_of(config, key)),
              json_text(*member_of(parse_json(usual, "config"), key)))
        << key;
    EXPECT_EQ(text_of(layer_options(config)), text) << key;
  }
}

TEST(LayerConfig, RulesComeBackBitForBit) {
  LayerOptions options = items();
  options.initializer = variance_scaling(2, Fan::average, Distribution::truncated_normal, 2);
  options.optimizer = Adam{};
  const LayerOptions back = layer_options(parse_json(text_of(options), "config"));
  EXPECT_EQ(std::get<TruncatedNormal>(back.initializer).stddev,
            std::get<TruncatedNormal>(options.initializer).stddev);
  EXPECT_EQ(std::get<Adam>(back.optimizer).epsilon, Adam{}.epsilon);
  EXPECT_EQ(std::get<Adam>(back.optimizer).beta_2, Adam{}.beta_2);
  options.constant = {0.1, -3};
  EXPECT_EQ(layer_options(parse_json(text_of(options), "config")).constant, options.constant);
}

TEST(LayerConfig, KeepsABorrowedConstantOfEachColumn) {
  const double values[] = {0.25, -1};
  LayerOptions options = items();
  options.initializer = ConstantVector{values};
  EXPECT_EQ(json_text(*member_of(layer_config(options), "initializer")),
            R"({"type":"constant","values":[0.25,-1.0]})");
}

TEST(LayerConfig, DevicesAreKeptOnlyWithTheDistribution) {
  LayerOptions options = items();
  options.devices = {"cpu:0"};
  EXPECT_EQ(json_text(*member_of(layer_config(options), "devices")), "null");
  options.keep_distribution = true;
  EXPECT_EQ(json_text(*member_of(layer_config(options), "devices")), R"(["cpu:0"])");
}

TEST(LayerConfig, KnowsTheRegularizersOfKerasWithTheirDefaults) {
  const auto read = [](const std::string& regularizer) {
    return *layer_options(parse_json(R"({"name": "a", "embedding_size": 1,
                                         "activity_regularizer": )" +
                                         regularizer + "}",
                                     "config"))
                .activity_regularizer;
  };
  EXPECT_EQ(read(R"("l1")"), (ActivityOptions{0.01, 0, ""}));
  EXPECT_EQ(read(R"({"type": "l2", "l2": 0.5})"), (ActivityOptions{0, 0.5, ""}));
  EXPECT_EQ(read(R"("l1_l2")"), (ActivityOptions{0.01, 0.01, ""}));
  EXPECT_EQ(read(R"({"type": "function", "function": "mine"})"), (ActivityOptions{0, 0, "mine"}));
}

/// The message of an error of this kind.
std::string message_of(Kind kind, const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.text();
    return error.text();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

TEST(LayerConfig, WrongKeysAndValuesAreRefusedByName) {
  const std::map<std::string, std::string> wrong{
      {R"({"name": "a", "embeding_size": 8})", "embeding_size"},
      {R"({"name": "a", "embedding_size": 8.5})", "embedding_size"},
      {R"({"name": "a", "embedding_size": "8"})", "embedding_size"},
      {R"({"name": "a", "embedding_size": 0})", "embedding_size"},
      {R"({"name": "a"})", "embedding_size"},
      {R"({"name": "a", "embedding_size": 8, "nslots": null})", "nslots"},
      {R"({"name": "a", "embedding_size": 8, "initializer": "norml"})", "normal"},
      {R"({"name": "a", "embedding_size": 8, "missing": "nan"})", "missing"}};
  for (const auto& [text, part] : wrong) {
    const std::string message =
        message_of(Kind::invalid_argument, [&] { layer_options(parse_json(text, "config")); });
    EXPECT_NE(message.find(part), std::string::npos) << text << ": " << message;
  }
}

TEST(LayerConfig, AnOptimizerThatNoConfigurationCanNameFails) {
  LayerOptions options = items();
  options.optimizer = Adagrad{0.1f, 0, 0, true};
  const std::string message = message_of(Kind::invalid_argument, [&] { layer_config(options); });
  EXPECT_NE(message.find("epsilon_outside"), std::string::npos) << message;
}

/// Expects that options with each change are refused by a message that has its part.
void expect_refused(const std::map<std::string, Change>& wrong) {
  for (const auto& [part, change] : wrong) {
    LayerOptions options = items();
    change(options);
    const std::string message = message_of(Kind::invalid_argument, [&] { check(options); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(LayerOptions, WithWrongValuesAreRefusedWithWhatIsAllowed) {
  const std::map<std::string, Change> wrong{
      {"has no \"/\"", [](LayerOptions& o) { o.name = "a/b"; }},
      {"not empty", [](LayerOptions& o) { o.name = ""; }},
      {"embedding_size >= 1", [](LayerOptions& o) { o.embedding_size = 0; }},
      {"init_capacity >= 0", [](LayerOptions& o) { o.init_capacity = -1; }},
      {"max_norm > 0", [](LayerOptions& o) { o.max_norm = 0; }},
      {"a finite max_norm", [](LayerOptions& o) { o.max_norm = HUGE_VAL; }},
      {"empty_bag of zeros, tf", [](LayerOptions& o) { o.empty_bag = "nan"; }},
      {"a restrict policy of", [](LayerOptions& o) { o.restrict_policy = "size"; }},
      {"rocksdb needs path", [](LayerOptions& o) { o.kv_creator = RocksDbRows{}; }},
      {"1 <= port <= 65535", [](LayerOptions& o) { o.kv_creator = redis_with(0, ""); }},
      {"redis needs password_env", [](LayerOptions& o) { o.kv_creator = redis_with(1, "a"); }},
      {"fast_bytes >= 1048576",
       [](LayerOptions& o) {
         o.kv_creator = TieredRows{1, RocksDbRows{"rows"}};
       }},
      {"did you mean \"mean\"", [](LayerOptions& o) { o.combiner = "meen"; }},
      {"mpirun", [](LayerOptions& o) { o.distribute_strategy = "MirroredStrategy"; }},
      {"\"cpu:RANK\"", [](LayerOptions& o) { o.devices = {"cuda:0"}; }},
      {"\"cpu:0\" twice",
       [](LayerOptions& o) {
         o.devices = {"cpu:0", "cpu:0"};
       }},
      {"l1 >= 0", [](LayerOptions& o) {
         o.activity_regularizer = ActivityOptions{-1, 0, ""};
       }}};
  expect_refused(wrong);
}

TEST(LayerOptions, WithWrongTypesAreRefusedWithWhatIsAllowed) {
  expect_refused({{"did you mean \"int64\"", [](LayerOptions& o) { o.key_dtype = "int46"; }},
                  {"did you mean \"float32\"", [](LayerOptions& o) { o.value_dtype = "float23"; }},
                  {"did you mean \"mixed_float16\"",
                   [](LayerOptions& o) { o.dtype_policy = "mixed_flaot16"; }},
                  {"keeps rows in float64", [](LayerOptions& o) { o.dtype_policy = "float64"; }},
                  {"keeps rows in float32: found value_dtype bfloat16",
                   [](LayerOptions& o) {
                     o.value_dtype = "bfloat16";
                     o.dtype_policy = "mixed_bfloat16";
                   }},
                  {"trainable = false", [](LayerOptions& o) { o.value_dtype = "int32"; }}});
}

TEST(Devices, AreThoseOfTheJob) {
  using Ranks = std::vector<std::int64_t>;
  EXPECT_EQ(device_ranks("a", {}, 2, "cpu"), Ranks{});
  EXPECT_EQ(device_ranks("a", {"cpu:0", "cpu:1"}, 2, "cpu"), (Ranks{0, 1}));
  EXPECT_EQ(device_ranks("a", {"gpu:2", "gpu:0"}, 3, "gpu"), (Ranks{2, 0}));
  message_of(Kind::invalid_argument, [] { device_ranks("a", {"gpu:0"}, 1, "cpu"); });
  message_of(Kind::invalid_argument, [] { device_ranks("a", {"cpu:2"}, 2, "cpu"); });
  message_of(Kind::invalid_argument, [] { device_ranks("a", {"cpu:1", "cpu:1"}, 2, "cpu"); });
  for (const char* name : {"cpu", "cpu:", "cpu:x", "cpu:01", "cpu:-1", "tpu:0", "cpu:0 "}) {
    message_of(Kind::invalid_argument, [&] { device_ranks("a", {name}, 1, "cpu"); });
  }
}

TEST(DtypePolicy, SaysWhatRowsAndOutputsAre) {
  EXPECT_EQ(dtype_policy_of("a", "", "float64"), (DtypePolicy{"float64", "float64", "float64"}));
  EXPECT_EQ(dtype_policy_of("a", "mixed_bfloat16", "float32"),
            (DtypePolicy{"mixed_bfloat16", "float32", "bfloat16"}));
  EXPECT_EQ(dtype_policy_of("a", "float16", "float16"),
            (DtypePolicy{"float16", "float16", "float16"}));
  EXPECT_EQ(dtype_policy_of("a", "", "int32").variable_dtype, "int32");
}

struct EvenSlot {
  KEYSHARD_HD std::int64_t operator()(Key id) const { return static_cast<std::int64_t>(id % 2); }
};

struct Quarter {
  KEYSHARD_HD double value(float y) const { return y / 4; }

  KEYSHARD_HD double derivative(float) const { return 0.25; }
};

/// A layer of the config of another one, which has the same config; both on two ranks.
template <class Layer>
void expect_round_trip(const LayerOptions& options) {
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    const auto another = communicator.duplicate();
    TableSet<Cpu> tables(communicator), others(*another);
    const Layer layer(tables, options);
    const std::string text = json_text(layer.get_config());
    const Layer other = Layer::from_config(others, parse_json(text, "config"));
    EXPECT_EQ(json_text(other.get_config()), text);
    EXPECT_EQ(other.name(), options.name);
    EXPECT_EQ(other.table().options().seed, layer.table().options().seed);
    EXPECT_EQ(other.table().options().partitioner, "modulo");
  });
}

TEST(Layers, FromConfigMakesALayerWithTheSameConfig) {
  LayerOptions options = items();
  options.partitioner = "modulo";
  options.seed = 5;
  options.combiner = "max";
  options.activity_regularizer = ActivityOptions{0.5, 0, ""};
  expect_round_trip<SquashedEmbedding<Cpu>>(options);
  expect_round_trip<Embedding<Cpu>>(options);
}

TEST(Layers, AConfigIsAFreshCopy) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, items());
    SettingValue config = layer.get_config();
    std::get<SettingValue::Table>(config.value).clear();
    EXPECT_EQ(json_text(layer.get_config()), text_of(items()));
    layer.set_trainable(false);
    EXPECT_EQ(json_text(*member_of(layer.get_config(), "trainable")), "false");
  });
}

TEST(Layers, AConfigWithAnOptionThatIsNotBuiltSaysSo) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = items();
    options.value_dtype = "float64";
    options.pool_order = PoolOrder::shard;
    options.exchange = ExchangeMode::reduced;
    const std::string message = message_of(Kind::not_built, [&] {
      SquashedEmbedding<Cpu>::from_config(tables, layer_config(options));
    });
    EXPECT_NE(message.find("exchange \"reduced\""), std::string::npos) << message;
  });
}

TEST(Layers, FunctionsOfAConfigAreFoundByTheirNames) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    const auto second = communicator.duplicate(), third = communicator.duplicate();
    TableSet<Cpu> tables(communicator), others(*second), more(*third);
    UserFunctions<Cpu> functions;
    functions.slot_maps = {slot_map<Cpu>("even", EvenSlot{})};
    functions.output_functions = {output_function<Cpu>("quarter", Quarter{})};
    LayerOptions options = items();
    options.activity_regularizer = ActivityOptions{0, 0, "quarter"};
    FieldWiseEmbedding<Cpu> layer(tables, options, 2, functions.slot_maps[0], functions);
    const SettingValue config = parse_json(json_text(layer.get_config()), "config");
    const auto other = FieldWiseEmbedding<Cpu>::from_config(others, config, functions);
    EXPECT_EQ(other.nslots(), 2);
    EXPECT_EQ(other.activity_regularizer()->name, "quarter");
    EXPECT_EQ(json_text(other.get_config()), json_text(config));
    const std::string unknown = message_of(
        Kind::invalid_argument, [&] { FieldWiseEmbedding<Cpu>::from_config(more, config, {}); });
    EXPECT_NE(unknown.find("registered"), std::string::npos) << unknown;
    EXPECT_TRUE(more.tables().empty());
  });
}

TEST(Layers, UnregisteredFunctionsWorkButHaveNoConfig) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    FieldWiseEmbedding<Cpu> slots(tables, items(), 2, slot_map<Cpu>("", EvenSlot{}));
    const std::string map = message_of(Kind::invalid_argument, [&] { slots.get_config(); });
    EXPECT_NE(map.find("slot_map_fn"), std::string::npos) << map;
    LayerOptions options = items();
    options.name = "users";
    SquashedEmbedding<Cpu> squashed(tables, options);
    squashed.set_activity_regularizer(output_function<Cpu>("", Quarter{}));
    const std::string activity = message_of(Kind::invalid_argument, [&] { squashed.get_config(); });
    EXPECT_NE(activity.find("activity_regularizer"), std::string::npos) << activity;
    squashed.set_activity_regularizer(output_function<Cpu>("quarter", Quarter{}));
    EXPECT_EQ(json_text(*member_of(squashed.get_config(), "activity_regularizer")),
              R"({"type":"function","function":"quarter"})");
    squashed.set_activity_regularizer(std::nullopt);
    EXPECT_EQ(json_text(*member_of(squashed.get_config(), "activity_regularizer")), "null");
  });
}

}  // namespace
}  // namespace keyshard::testing
