// Options of tables and features from a configuration. The column groups and columns are names of
// this test, because embedding/ itself defines none.
#include "embedding/layers/options.hpp"

#include <algorithm>
#include <limits>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

using Lines = std::vector<std::string>;

/// A group in [embedding] itself, one of two columns in [embedding.side], and one that no table
/// has.
std::vector<GroupDefaults> groups() {
  return {{.name = "main", .table = "", .initializer = "ones", .optimizer = "adagrad"},
          {.name = "side",
           .table = "side",
           .dim = 2,
           .initializer = "zeros",
           .optimizer = "sgd",
           .combiner = Max{}},
          {.name = "spare",
           .table = "spare",
           .dim = 1,
           .initializer = "zeros",
           .optimizer = "sgd",
           .used = false}};
}

struct Read {
  EmbeddingOptions options;
  Lines problems;
};

/// Reads features "a" and "b" from a configuration; `column` describes "b".
Read read(const std::string& root_json, const std::string& column_json = "{}") {
  const SettingValue root_tree = parse_json(root_json, "file");
  const SettingValue column_tree = parse_json(column_json, "file");
  const auto report = std::make_shared<SettingsReport>();
  Settings root(root_tree, "", report);
  Read result;
  result.options = read_embedding_options(root, {"a", "b"}, groups(),
                                          {{"b", Settings(column_tree, "column", report)}}, 7);
  result.problems = report->messages;
  return result;
}

TEST(EmbeddingOptions, SayWhichKeysGetARow) {
  const Read found = read(R"({"embedding": {"admit_after": 3},
                              "tables": {"b": {"admit_after": 0, "admit_probability": 0.25}}})");
  EXPECT_EQ(found.problems, Lines{});
  EXPECT_EQ(found.options.tables[0].admit_after, 3);
  EXPECT_EQ(found.options.tables[0].admit_probability, 1.0);
  EXPECT_EQ(found.options.tables[1].admit_after, 0);
  EXPECT_EQ(found.options.tables[1].admit_probability, 0.25);
  const Read both = read(R"({"embedding": {"admit_after": 3, "admit_probability": 0.5}})");
  EXPECT_EQ(both.problems, Lines{"file: embedding.admit_probability: expected one of admit_after "
                                 "and admit_probability"});
  const Read none = read(R"({"embedding": {"admit_probability": 0}})");
  EXPECT_EQ(none.problems, Lines{"file: embedding.admit_probability: expected admit_probability "
                                 "above 0: found 0"});
}

TEST(EmbeddingOptions, ATableHasTheUsedGroupsWithTheirDefaults) {
  const Read found = read("{}");
  EXPECT_EQ(found.problems, Lines{});
  ASSERT_EQ(found.options.tables.size(), 2u);
  const TableOptions& table = found.options.tables[0];
  EXPECT_EQ(table.name, "a");
  ASSERT_EQ(table.groups.size(), 2u);
  EXPECT_EQ(table.groups[0].name, "main");
  EXPECT_EQ(table.groups[0].dim, 16);
  EXPECT_EQ(std::get<Constant>(table.groups[0].initializer).value, 1.0f);
  EXPECT_TRUE(std::holds_alternative<Adagrad>(table.groups[0].optimizer));
  EXPECT_EQ(table.groups[1].name, "side");
  EXPECT_EQ(table.groups[1].dim, 2);
  EXPECT_TRUE(std::holds_alternative<Sgd>(table.groups[1].optimizer));
}

TEST(EmbeddingOptions, AGroupIsReadInItsOwnTableAndChangedForOneTable) {
  const Read found = read(R"({"embedding": {"dim": 4, "side": {"l2": 0.5}},
                              "tables": {"b": {"side": {"optimizer": "adam"}, "dim": 8}}})");
  EXPECT_EQ(found.problems, Lines{});
  const auto& a = found.options.tables[0].groups;
  const auto& b = found.options.tables[1].groups;
  EXPECT_EQ(a[0].dim, 4);
  EXPECT_EQ(b[0].dim, 8);
  EXPECT_EQ(a[1].regularization.l2, 0.5f);
  EXPECT_EQ(b[1].regularization.l2, 0.5f);
  EXPECT_TRUE(std::holds_alternative<Sgd>(a[1].optimizer));
  EXPECT_TRUE(std::holds_alternative<Adam>(b[1].optimizer));
}

TEST(EmbeddingOptions, ClipsAreThoseOfAGroup) {
  const Read found = read(R"({"embedding": {"clip_norm": 2, "side": {"clip_value": 0.5}}})");
  EXPECT_EQ(found.problems, Lines{});
  const auto& groups = found.options.tables[0].groups;
  EXPECT_EQ(groups[0].regularization.clip_norm, 2.0f);
  EXPECT_EQ(groups[0].regularization.clip_value, 0.0f);
  EXPECT_EQ(groups[1].regularization.clip_norm, 0.0f);
  EXPECT_EQ(groups[1].regularization.clip_value, 0.5f);
  EXPECT_EQ(read(R"({"embedding": {"clip_norm": -1}})").problems,
            Lines{"file: embedding.clip_norm: expected a number of at least 0: found -1"});
}

TEST(EmbeddingOptions, AMaxNormIsThatOfAGroupAndOfATable) {
  const Read found = read(R"({"embedding": {"max_norm": 2.5},
                              "tables": {"b": {"max_norm": 1, "side": {"max_norm": 0.1}}}})");
  EXPECT_EQ(found.problems, Lines{});
  const auto& a = found.options.tables[0].groups;
  const auto& b = found.options.tables[1].groups;
  EXPECT_EQ(a[0].max_norm, 2.5);
  EXPECT_EQ(a[1].max_norm, 0.0) << "none, unless its own table gives one";
  EXPECT_EQ(b[0].max_norm, 1.0);
  EXPECT_EQ(b[1].max_norm, 0.1);
  for (const char* wrong : {"0", "-1"}) {
    EXPECT_EQ(
        read(fmt::format(R"({{"embedding": {{"max_norm": {}}}}})", wrong)).problems,
        Lines{fmt::format("file: embedding.max_norm: expected a number above 0: found {}", wrong)});
  }
  EXPECT_EQ(read(R"({"embedding": {"max_norm": "1"}})").problems.size(), 1u);
}

TEST(EmbeddingOptions, ATableRefusesAClipThatIsNoBound) {
  TableOptions table;
  table.name = "items";
  table.groups = {{.name = "values",
                   .dim = 1,
                   .initializer = Constant{},
                   .constant = {},
                   .optimizer = Sgd{},
                   .regularization = {.clip_value = -1}}};
  EXPECT_THROW(check(table), Error);
  table.groups[0].regularization = {.clip_norm = std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THROW(check(table), Error);
  table.groups[0].regularization = {.clip_value = 1, .clip_norm = 1};
  check(table);
  for (const double wrong :
       {-1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    table.groups[0].max_norm = wrong;
    EXPECT_THROW(check(table), Error);
  }
}

TEST(EmbeddingOptions, AColumnNamesItsTableAndTheCombinerOfTheMainGroup) {
  const Read found = read("{}", R"({"table": "a", "combiner": "min"})");
  EXPECT_EQ(found.problems, Lines{});
  ASSERT_EQ(found.options.tables.size(), 1u);
  const FeatureOptions& b = found.options.features[1];
  EXPECT_EQ(b.table, 0);
  ASSERT_EQ(b.combiners.size(), 2u);
  EXPECT_STREQ(name_of(b.combiners[0]), "min");
  EXPECT_STREQ(name_of(b.combiners[1]), "max");
  EXPECT_STREQ(name_of(found.options.features[0].combiners[0]), "sum");
}

TEST(EmbeddingOptions, AColumnHasTheOptionsOfALayerOrThoseOfItsTable) {
  const Read found =
      read(R"({"embedding": {"trainable": false}, "tables": {"b": {"empty_bag": "tf"}}})",
           R"({"trainable": true, "id_weights": "w"})");
  const FeatureOptions &a = found.options.features[0], &b = found.options.features[1];
  EXPECT_FALSE(a.trainable);
  EXPECT_EQ(a.empty_bag, EmptyBag::zeros);
  EXPECT_FALSE(a.weighted);
  EXPECT_TRUE(b.trainable);
  EXPECT_EQ(b.empty_bag, EmptyBag::tf);
  EXPECT_TRUE(b.weighted);
  EXPECT_FALSE(found.options.tables[0].trainable);
  EXPECT_TRUE(found.options.tables[1].trainable);
  EXPECT_EQ(found.problems, Lines{"file: column.id_weights: expected combiner sum, mean or sqrtn "
                                  "where ids have weights: found max"});
}

TEST(EmbeddingOptions, ATableIsTrainableWhereOneOfItsFeaturesTrainsIt) {
  const Read one = read("{}", R"({"table": "a", "trainable": false})");
  ASSERT_EQ(one.options.tables.size(), 1u);
  EXPECT_TRUE(one.options.tables[0].trainable);
  EXPECT_TRUE(one.options.features[0].trainable);
  EXPECT_FALSE(one.options.features[1].trainable);
  const Read none = read(R"({"tables": {"a": {"trainable": false}}})", R"({"table": "a"})");
  EXPECT_FALSE(none.options.tables[0].trainable);
}

TEST(EmbeddingOptions, ATableMayHaveASeedOfItsOwn) {
  const Read found = read(R"({"tables": {"b": {"seed": -5}}})");
  EXPECT_EQ(found.problems, Lines{});
  EXPECT_EQ(found.options.tables[1].seed, static_cast<std::uint64_t>(-5));
  EXPECT_NE(found.options.tables[0].seed, found.options.tables[1].seed);
  EXPECT_EQ(read(R"({"embedding": {"seed": 5}})").problems,
            Lines{"file: embedding.seed: expected seed in [tables.NAME], or job.seed, from which "
                  "all tables get seeds of their own"});
}

TEST(EmbeddingOptions, KeysThatStandInTheWrongPlaceAreToldTheRightOne) {
  EXPECT_EQ(read("{}", R"({"share": "a"})").problems,
            Lines{"file: column.share: expected table = \"NAME\", which names the table to read"});
  EXPECT_EQ(read(R"({"tables": {"b": {"share": "a"}}})").problems,
            Lines{"file: tables.b.share: expected table = \"NAME\" in the [[data.columns]] of each "
                  "column that reads the table"});
  for (const std::string key : {"mask", "padding_id", "id_weights"}) {
    EXPECT_EQ(read(R"({"embedding": {")" + key + R"(": 0}})").problems,
              Lines{"file: embedding." + key +
                    ": expected this key in the [[data.columns]] of a column of ids"});
  }
  for (const std::string key : {"trainable", "empty_bag", "seed", "value_dtype"}) {
    EXPECT_EQ(read(R"({"embedding": {"side": {")" + key + R"(": 0}}})").problems,
              Lines{"file: embedding.side." + key +
                    ": expected this key in [embedding] or [tables.NAME], for it is one of whole "
                    "rows"});
  }
}

TEST(EmbeddingOptions, OfOneBuiltValueAreCheckedAsALayerChecksThem) {
  EXPECT_EQ(read(R"({"embedding": {"key_dtype": "uint64", "value_dtype": "float32",
                                   "dtype_policy": "float32", "kv_creator": "host"}})")
                .problems,
            Lines{});
  EXPECT_EQ(read(R"({"tables": {"b": {"value_dtype": "int8", "trainable": false}}})").problems,
            Lines{"file: tables.b.value_dtype: expected float32, float16, bfloat16 or float64, for "
                  "a model computes with what its features deliver, and rows of integers are "
                  "looked up by the layer Embedding of a program: found \"int8\""});
  EXPECT_EQ(read(R"({"tables": {"b": {"dtype_policy": "float16"}}})").problems,
            Lines{"file: tables.b.dtype_policy: layer tables.b: dtype_policy float16 keeps rows in "
                  "float16: found value_dtype float32"});
  EXPECT_EQ(read(R"({"tables": {"b": {"key_dtype": "int32"}}})").problems,
            Lines{"file: tables.b.key_dtype: expected key_dtype int64 or uint64, for ids of data "
                  "have 64 bits and strings have type = \"string\" in [[data.columns]]: found "
                  "\"int32\""});
  EXPECT_EQ(read(R"({"embedding": {"kv_creator": "hots"}})").problems,
            Lines{"file: embedding.kv_creator.type: expected one of host, device, rocksdb, redis, "
                  "tiered: found \"hots\"; did you mean \"host\"?"});
}

TEST(EmbeddingOptions, OfStoresAreReadWithTheirFieldsAndRefusedByName) {
  const Read found = read(R"({"embedding": {"kv_creator": {"type": "tiered", "fast_bytes": 2097152,
      "slow": {"type": "redis", "host": "db", "port": 7000, "password_env": "WORD"}}},
      "tables": {"b": {"kv_creator": "host"}}})");
  EXPECT_EQ(found.problems, Lines{});
  EXPECT_EQ(found.options.tables[0].kv_creator,
            KvCreator(TieredRows{2097152, RedisRows{.host = "db",
                                                    .port = 7000,
                                                    .db = 0,
                                                    .user = "",
                                                    .password_env = "WORD",
                                                    .prefix = "keyshard",
                                                    .timeout_ms = 1000}}));
  const std::pair<const char*, const char*> wrong[] = {
      {R"({"type": "rocksdb"})", "rocksdb needs path"},
      {R"({"type": "rocksdb", "paht": "x"})", "did you mean \"path\"?"},
      {R"({"type": "rocksbd", "path": "x"})", "did you mean \"rocksdb\"?"},
      {R"({"type": "redis", "port": 0})", "kv_creator.port: expected"},
      {R"({"type": "redis", "password": "x"})",
       "unknown key \"password\" in [embedding.kv_creator]"},
      {R"({"type": "tiered", "slow": {"type": "rocksdb", "path": "x"}})", "needs fast_bytes"},
      {R"({"type": "tiered", "fast_bytes": 2097152, "slow": "device"})", "kv_creator.slow.type"}};
  for (const auto& [creator, part] : wrong) {
    const Lines problems =
        read(std::string(R"({"embedding": {"kv_creator": )") + creator + "}}").problems;
    ASSERT_FALSE(problems.empty()) << creator;
    EXPECT_TRUE(std::any_of(problems.begin(), problems.end(), [&](const std::string& line) {
      return line.find(part) != std::string::npos;
    })) << problems.front();
  }
}

TEST(EmbeddingOptions, ARegularizerOfOutputsIsOfAColumnATableOrAllTables) {
  using Activities = std::vector<std::vector<ActivityOptions>>;
  EXPECT_EQ(read("{}").options.activities, (Activities{{{}, {}}, {{}, {}}}));
  const Read found = read(R"({"embedding": {"activity_regularizer": {"type": "l1", "l1": 0.5},
                                            "side": {"activity_regularizer": {"type": "l2"}}},
                              "tables": {"b": {"activity_regularizer": {"l1": 1, "l2": 2}}}})");
  EXPECT_EQ(found.problems, Lines{});
  // Keras' defaults of l1 and l2 are 0.01.
  EXPECT_EQ(found.options.activities,
            (Activities{{{0.5, 0, ""}, {0, 0.01, ""}}, {{1, 2, ""}, {0, 0.01, ""}}}));
  const Read column = read("{}", R"({"activity_regularizer": {"type": "l2", "l2": 3}})");
  EXPECT_EQ(column.problems, Lines{});
  EXPECT_EQ(column.options.activities, (Activities{{{}, {}}, {{0, 3, ""}, {}}}));
  EXPECT_EQ(read("{}", R"({"activity_regularizer": {"type": "l3"}})").problems,
            Lines{"file: column.activity_regularizer.type: expected one of l1, l2, l1_l2: found "
                  "\"l3\"; did you mean \"l1\"?"});
  EXPECT_EQ(read(R"({"embedding": {"activity_regularizer": {"l1": -1}}})").problems,
            Lines{"file: embedding.activity_regularizer.l1: expected a number of at least 0: found "
                  "-1"});
}

TEST(EmbeddingOptions, DevicesAreThoseOfEachTable) {
  const Read found = read(R"({"embedding": {"devices": ["cpu:0", "cpu:1"]},
                              "tables": {"b": {"devices": []}}})");
  EXPECT_EQ(found.problems, Lines{});
  EXPECT_EQ(found.options.devices, (std::vector<Lines>{{"cpu:0", "cpu:1"}, {}}));
  EXPECT_EQ(read(R"({"tables": {"b": {"devices": ["cpu"]}}})").problems,
            Lines{"file: tables.b.devices: layer tables.b: expected devices \"cpu:RANK\" or "
                  "\"gpu:RANK\": found \"cpu\""});
  EXPECT_EQ(read(R"({"embedding": {"side": {"devices": []}}})").problems,
            Lines{"file: embedding.side.devices: expected this key in [embedding] or "
                  "[tables.NAME], for it is one of whole rows"});
}

TEST(EmbeddingOptions, TypesOfRowsAndOutputsAreThoseOfTheirPolicy) {
  struct Case {
    const char* embedding;
    ValueDtype rows, outputs;
  };
  using enum ValueDtype;
  for (const Case& one :
       {Case{R"({})", float32, float32}, Case{R"({"value_dtype": "float16"})", float16, float16},
        Case{R"({"value_dtype": "bfloat16", "dtype_policy": "bfloat16"})", bfloat16, bfloat16},
        Case{R"({"dtype_policy": "mixed_float16"})", float32, float16},
        Case{R"({"dtype_policy": "mixed_bfloat16"})", float32, bfloat16}}) {
    const Read found = read(R"({"embedding": )" + std::string(one.embedding) + "}");
    EXPECT_EQ(found.problems, Lines{}) << one.embedding;
    EXPECT_EQ(found.options.tables[0].value_dtype, one.rows) << one.embedding;
    EXPECT_EQ(found.options.features[0].compute_dtype, one.outputs) << one.embedding;
  }
}

TEST(EmbeddingOptions, AGroupThatIsNotUsedIsCheckedAllTheSame) {
  EXPECT_EQ(read(R"({"embedding": {"spare": {"l2": -1}}})").problems,
            Lines{"file: embedding.spare.l2: expected a number of at least 0: found -1"});
}

TEST(EmbeddingOptions, NamesOfOptionsAreReadAndRefused) {
  const Read found = read(R"({"embedding": {"exchange": "auto", "pool_order": "shard",
                                            "missing": "zeros", "l2_per": "occurrence",
                                            "bp_v2": true}})");
  const TableOptions& table = found.options.tables[0];
  EXPECT_EQ(table.exchange, ExchangeMode::automatic);
  EXPECT_EQ(table.pool_order, PoolOrder::shard);
  EXPECT_EQ(table.missing, Missing::zeros);
  EXPECT_TRUE(table.bp_v2);
  EXPECT_TRUE(table.groups[0].regularization.l2_per_occurrence);
  EXPECT_TRUE(table.groups[1].regularization.l2_per_occurrence) << "unless its own table differs";
  EXPECT_EQ(read(R"({"embedding": {"l2_per": "key"}})").problems,
            Lines{"file: embedding.l2_per: expected one of step, occurrence: found \"key\""});
  EXPECT_EQ(option_name(PoolOrder::bag), "bag");
  EXPECT_EQ(option_name(ExchangeMode::reduced), "reduced");
  EXPECT_EQ(option_name(Missing::initial), "initial");
}

TEST(EmbeddingOptions, ACheckpointKeepsWhatDecidesTheResultsOfATable) {
  TableOptions table;
  table.partitioner = "modulo";
  table.seed = 5;
  table.pool_order = PoolOrder::shard;
  EXPECT_EQ(json_text(saved_options(table)),
            R"({"partitioner":"modulo","seed":5,"pool_order":"shard"})");
  table.groups.resize(2);
  table.groups[1].max_norm = 1.5;
  EXPECT_EQ(json_text(saved_options(table)),
            R"({"partitioner":"modulo","seed":5,"pool_order":"shard","max_norm":[0.0,1.5]})");
}

}  // namespace
}  // namespace keyshard
