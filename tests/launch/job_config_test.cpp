// The whole configuration of a job: defaults, overrides, and every mistake at once.
#include "launch/training/job_config.hpp"

#include <gtest/gtest.h>

#include "launch/job_file.hpp"
#include "runtime/error.hpp"
#include "tests/support/own_rules.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

const char* const kSmall = R"(config_version = 1
[data]
format = "generated"
)";

JobConfig read(const std::string& content, const std::vector<std::string>& assignments = {}) {
  const ScratchFolder folder;
  return read_job_config(folder.write("train.toml", content), assignments);
}

/// The problems, without the path of the file.
std::string problems_of(const std::string& content,
                        const std::vector<std::string>& assignments = {}) {
  const ScratchFolder folder;
  try {
    read_job_config(folder.write("train.toml", content), assignments);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::invalid_argument);
    return folder.without_path(error.text());
  }
  return "";
}

TEST(JobConfig, NamesTheRulesOfTheProgramThatReadsIt) {
  const std::string content = std::string(kSmall) + R"([embedding]
combiner = "last_minus_first"
partitioner = "by_eight"
restrict_policy = "freshness"
initializer = { type = "keyed_row", times = 3 }
optimizer = { type = "doubling", learning_rate = 0.25 }
[model.optimizer]
type = "doubling"
)";
  const ScratchFolder folder;
  const std::string path = folder.write("train.toml", content);
  const JobConfig config = read_job_config(path, {}, testing::own_rules());
  const TableOptions& table = config.embedding.tables[0];
  EXPECT_EQ(table.partitioner.name, "by_eight");
  EXPECT_TRUE(std::holds_alternative<OwnPolicy>(table.restrict_policy));
  EXPECT_STREQ(name_of(table.groups[0].optimizer), "doubling");
  EXPECT_EQ(learning_rate_of(table.groups[0].optimizer), 0.25f);
  EXPECT_TRUE(std::holds_alternative<OwnInitializer>(table.groups[0].initializer));
  EXPECT_STREQ(name_of(config.embedding.features[0].combiners[0]), "last_minus_first");
  EXPECT_STREQ(name_of(config.model.optimizer), "doubling");
  EXPECT_NE(problems_of(content).find("found \"last_minus_first\""), std::string::npos);
}

TEST(JobConfig, ReadsJobAndCheckpoint) {
  const JobConfig config = read(std::string(kSmall) + R"([job]
output = "runs/a"
seed = 9
epochs = 4
batch_size = 512
slices = 8
metric = "log_loss"
numerics = "avx2"
patience = 3
decay = 0.1
watchdog_seconds = 5
[checkpoint]
every_steps = 100
keep = 5
on_failure = "continue"
)");
  EXPECT_TRUE(config.job.output.ends_with("/runs/a")) << config.job.output;
  EXPECT_EQ(config.job.seed, 9u);
  EXPECT_EQ(config.job.epochs, 4);
  EXPECT_EQ(config.job.batch_size, 512);
  EXPECT_EQ(config.job.slices, 8);
  EXPECT_EQ(config.job.metric, ValidationMetric::log_loss);
  EXPECT_EQ(config.job.numerics, "avx2");
  EXPECT_EQ(config.job.patience, 3);
  EXPECT_EQ(config.job.decay, 0.1);
  EXPECT_EQ(config.job.watchdog_seconds, 5.0);
  EXPECT_EQ(config.checkpoint.every_steps, 100);
  EXPECT_EQ(config.checkpoint.keep, 5);
  EXPECT_FALSE(config.checkpoint.stop_on_failure);
}

TEST(JobConfig, AnAssignmentWinsOverTheFile) {
  const JobConfig config = read(std::string(kSmall) + "[job]\nepochs = 4\n",
                                {"job.epochs=2", "model.dropout=0.5", "job.output=else"});
  EXPECT_EQ(config.job.epochs, 2);
  EXPECT_EQ(config.model.dropout, 0.5);
  EXPECT_TRUE(config.job.output.ends_with("/else")) << config.job.output;
}

TEST(JobConfig, AMistakeOfAnAssignmentNamesIt) {
  EXPECT_EQ(problems_of(kSmall, {"job.epochs=many"}),
            "--set job.epochs: job.epochs: expected an integer: found the string \"many\"");
  EXPECT_EQ(problems_of(kSmall, {"job.epoch=2"}),
            "--set job.epoch: unknown key \"epoch\" in [job]; did you mean \"epochs\"?");
}

TEST(JobConfig, AllMistakesAreSaidAtOnceInTheOrderOfTheFile) {
  EXPECT_EQ(problems_of(R"(config_version = 1
colour = "red"
[job]
batch_sise = 64
epochs = "x"
slices = 3
[data]
format = "generatd"
train = ["a.tsv"]
[[data.columns]]
name = "click"
role = "labl"
index = 0
[model]
dropout = 2.5
typ = "fm"
[embedding]
dim = 0
)"),
            R"(train.toml:2: unknown key "colour"
train.toml:4: unknown key "batch_sise" in [job]; did you mean "batch_size"?
train.toml:5: job.epochs: expected an integer: found the string "x"
train.toml:6: job.slices: expected a power of two: found 3
train.toml:8: data.format: expected one of text, packed, generated: found "generatd"; did you mean "generated"?
train.toml:10: data.columns: expected one column with role "label": found 0
train.toml:12: data.columns[0].role: expected one of label, weight, dense, id, ids, id_weights, mask, ignore: found "labl"; did you mean "label"?
train.toml:15: model.dropout: expected a number from 0 to 0.99: found 2.5
train.toml:16: unknown key "typ" in [model]; did you mean "type"?
train.toml:18: embedding.dim: expected an integer from 1 to 65536: found 0)");
}

TEST(JobConfig, AMistakeThatTwoReadersSeeIsSaidOnce) {
  EXPECT_EQ(problems_of(R"(config_version = 1
[data]
format = "generated"
columns = 3
)"),
            "train.toml:4: data.columns: expected a list of tables: found the integer 3");
}

TEST(JobConfig, SlicesMustDivideTheBatch) {
  EXPECT_EQ(problems_of(std::string(kSmall) + "[job]\nbatch_size = 100\nslices = 8\n"),
            "train.toml:5: job.batch_size: expected a multiple of the 8 slices: found 100");
}

TEST(JobConfig, AVersionIsRequiredAndANewerOneRefused) {
  EXPECT_EQ(problems_of("config_version = 2\n[data]\nformat = \"generated\"\n"),
            "train.toml:1: config_version: expected 1: found 2");
  EXPECT_EQ(problems_of("config_version = \"1\"\n[data]\nformat = \"generated\"\n"),
            "train.toml:1: config_version: expected an integer: found the string \"1\"");
  const std::string none = problems_of("[data]\nformat = \"generated\"\n");
  EXPECT_TRUE(none.ends_with("config_version: expected 1: found none")) << none;
}

TEST(JobConfig, OptionsOfLayersThatAConfigurationHasNoUseOfAreRefusedWithAReason) {
  for (const auto& [key, reason] : std::map<std::string, std::string>{
           {"keep_distribution",
            "expected none: a configuration keeps its devices as they are written, and a "
            "checkpoint loads with other devices and on any number of ranks"},
           {"distribute_strategy",
            "expected none: the ranks of a job are the processes that mpirun starts (mpirun -n "
            "RANKS ...)"},
           {"embedding_size", "expected dim, the name of this option in a configuration"},
           {"nslots",
            "expected a column of ids for each slot, which may share a table: a function that maps "
            "ids to slots is one of a program (FieldWiseEmbedding)"}}) {
    EXPECT_EQ(problems_of(std::string(kSmall) + "[embedding]\n" + key + " = 1\n"),
              "train.toml:5: embedding." + key + ": " + reason);
    EXPECT_EQ(problems_of(std::string(kSmall) + "[embedding.linear]\n" + key + " = 1\n"),
              "train.toml:5: embedding.linear." + key + ": " + reason);
  }
}

TEST(JobConfig, ALimitOfRowsNeedsAPolicy) {
  const std::string embedding = std::string(kSmall) + "[embedding]\n";
  EXPECT_EQ(problems_of(embedding + "restrict_policy = \"frequency\"\nmax_rows = 10\n"), "");
  EXPECT_EQ(problems_of(embedding + "max_rows = 10\n"),
            "train.toml:5: embedding.max_rows: max_rows needs restrict_policy = \"timestamp\" or "
            "\"frequency\", which says which rows stay");
  EXPECT_EQ(problems_of(embedding + "restrict_policy = \"frequent\"\n"),
            "train.toml:5: embedding.restrict_policy: expected one of none, timestamp, "
            "timestamp_seconds, "
            "frequency: found \"frequent\"; did you mean \"frequency\"?");
}

TEST(JobConfig, AColumnThatAsksForSlotsIsToldWhatToWrite) {
  EXPECT_EQ(
      problems_of(R"(config_version = 1
[data]
format = "text"
train = ["a.tsv"]
[[data.columns]]
name = "click"
role = "label"
index = 0
[[data.columns]]
name = "tags"
role = "ids"
index = 1
nslots = 2
combiner = "std"
)"),
      "train.toml:13: data.columns[1].nslots: expected a column of ids for each slot, which may "
      "share a table: a function that maps ids to slots is one of a program "
      "(FieldWiseEmbedding)");
}

constexpr const char* kLists = R"(config_version = 1
[data]
format = "text"
train = ["a.tsv"]
[[data.columns]]
name = "click"
role = "label"
index = 0
[[data.columns]]
name = "w"
role = "id_weights"
index = 2
list_separator = "|"
[[data.columns]]
name = "m"
role = "mask"
index = 3
[[data.columns]]
name = "tags"
role = "ids"
index = 1
)";

TEST(JobConfig, AColumnHasTheOptionsOfALayer) {
  const JobConfig config = read(std::string(kLists) + R"(type = "integer"
id_weights = "w"
mask = "m"
padding_id = -1
trainable = false
empty_bag = "tf"
combiner = "mean"
[model]
type = "mlp"
[tables.tags]
seed = 9
missing = "zeros"
)");
  const ColumnOptions& tags = config.data.columns.at(3);
  EXPECT_EQ(tags.id_weights, "w");
  EXPECT_EQ(tags.mask, "m");
  EXPECT_EQ(tags.padding_key(), ~Key{0});
  EXPECT_EQ(config.data.columns.at(1).list_separator, "|");
  const DataSchema schema = config.data.schema();
  EXPECT_EQ(schema.features, std::vector<std::string>{"tags"});
  EXPECT_EQ(schema.weighted_features, std::vector<std::string>{"tags"});
  EXPECT_EQ(schema.masked_features, std::vector<std::string>{"tags"});
  const FeatureOptions& feature = config.embedding.features.at(0);
  EXPECT_TRUE(feature.weighted);
  EXPECT_FALSE(feature.trainable);
  EXPECT_EQ(feature.empty_bag, EmptyBag::tf);
  const TableOptions& table = config.embedding.tables.at(0);
  EXPECT_EQ(table.seed, 9u);
  EXPECT_EQ(table.missing, Missing::zeros);
  EXPECT_FALSE(table.trainable);
}

TEST(JobConfig, ATableNamesTheFileOfItsFirstRows) {
  const JobConfig config = read(std::string(kLists) + R"(type = "integer"
id_weights = "w"
mask = "m"
[tables.tags]
pretrained = "a/vectors.txt"
)");
  ASSERT_EQ(config.pretrained.size(), 1u);
  EXPECT_EQ(config.pretrained[0].table, "tags");
  EXPECT_TRUE(config.pretrained[0].path.ends_with("a/vectors.txt"));
  EXPECT_FALSE(config.pretrained[0].strings);
  const std::string lists = std::string(kLists) + R"(id_weights = "w"
mask = "m"
[[data.columns]]
name = "tag"
role = "id"
type = "integer"
table = "tags"
index = 4
)";
  EXPECT_EQ(problems_of(lists + "[tables.tags]\npretrained = \"v.txt\"\n"),
            "train.toml:31: tables.tags.pretrained: expected columns of one type that read table "
            "tags: found strings and integers");
  EXPECT_EQ(problems_of(lists + "[embedding]\npretrained = \"v.txt\"\n"),
            "train.toml:31: embedding.pretrained: expected pretrained in [tables.NAME], for each "
            "table has its own");
}

TEST(JobConfig, MistakesInTheOptionsOfAColumnAreSaidWhereTheyStand) {
  EXPECT_EQ(
      problems_of(std::string(kLists) + R"(id_weights = "m"
mask = "n"
padding_id = 3
combiner = "max"
trainable = 1
[model]
type = "mlp"
)"),
      R"(train.toml:11: data.columns[1].role: expected a column of ids with id_weights = "w": found none
train.toml:16: data.columns[2].role: expected a column of ids with mask = "m": found none
train.toml:22: data.columns[3].id_weights: expected combiner sum, mean or sqrtn where ids have weights: found max
train.toml:22: data.columns[3].id_weights: expected the name of a column with role "id_weights": found "m"; did you mean "w"?
train.toml:23: data.columns[3].mask: expected the name of a column with role "mask": found "n"; did you mean "m"?
train.toml:24: data.columns[3].padding_id: expected a string: found the integer 3
train.toml:26: data.columns[3].trainable: expected true or false: found the integer 1)");
}

TEST(JobConfig, ClipsAndOptimizersAreThoseOfTheFile) {
  const JobConfig config = read(std::string(kSmall) + R"([embedding]
clip_norm = 2
optimizer = { type = "lamb", weight_decay = 0.5 }
[embedding.linear]
clip_value = 0.25
optimizer = "adagrad_da"
[model]
optimizer = { type = "rmsprop", centered = true }
)");
  const std::vector<GroupOptions>& groups = config.embedding.tables.at(0).groups;
  EXPECT_EQ(groups.at(0).regularization.clip_norm, 2.0f);
  EXPECT_EQ(std::get<Lamb>(groups.at(0).optimizer).weight_decay, 0.5f);
  EXPECT_EQ(groups.at(1).regularization.clip_value, 0.25f);
  EXPECT_TRUE(std::holds_alternative<AdagradDa>(groups.at(1).optimizer));
  EXPECT_TRUE(std::get<RmsProp>(config.model.optimizer).centered);
}

TEST(JobConfig, AMistakeInAnOptimizerIsSaidWhereItStands) {
  EXPECT_EQ(problems_of(std::string(kSmall) +
                        "[model]\noptimizer = { type = \"adam\", amsgrad = true }\n"),
            "train.toml:5: model.optimizer.amsgrad: expected type = \"amsgrad\" in place of this "
            "key");
  EXPECT_EQ(problems_of(std::string(kSmall) + "[model]\noptimizer = \"lamb\"\n"),
            "train.toml:5: model.optimizer: expected an optimizer of single numbers: found lamb");
  EXPECT_EQ(problems_of(std::string(kSmall) + "[embedding]\nclip_norm = -1\n"),
            "train.toml:5: embedding.clip_norm: expected a number of at least 0: found -1");
}

TEST(JobConfig, AMisspeltOptimizerIsRefusedWithTheNearest) {
  EXPECT_EQ(problems_of(std::string(kSmall) +
                        "[embedding]\noptimizer = { type = \"adgrad\", epsilon = 0.1 }\n"),
            "train.toml:5: embedding.optimizer.type: expected one of sgd, momentum, adagrad, "
            "rowwise_adagrad, adam, ftrl, nadam, adamw, amsgrad, adamax, lamb, adagrad_da, "
            "proximal_sgd, proximal_adagrad, adadelta, rmsprop: found \"adgrad\"; did you mean "
            "\"adagrad\"?");
  EXPECT_EQ(problems_of(std::string(kSmall) + "[embedding]\noptimizer = \"nesterov\"\n"),
            "train.toml:5: embedding.optimizer.type: expected type = \"momentum\" with nesterov = "
            "true: found \"nesterov\"");
}

TEST(JobConfig, AMisspeltCombinerIsRefusedWhereItStands) {
  EXPECT_EQ(problems_of(std::string(kSmall) + "[embedding]\ncombiner = \"men\"\n"),
            "train.toml:5: embedding.combiner: expected one of sum, mean, min, max, sqrtn, prod, "
            "variance, std, logsumexp, euclidean_norm: found \"men\"; did you mean \"mean\"?");
}

TEST(JobConfig, AMisspeltPartitionerIsRefusedWithTheNearest) {
  EXPECT_EQ(problems_of(std::string(kSmall) + "[embedding]\npartitioner = \"modul\"\n"),
            "train.toml:5: embedding.partitioner: expected one of hash, modulo: found \"modul\"; "
            "did you mean \"modulo\"?");
}

TEST(JobConfig, TheExamplesHaveNoMistakes) {
  std::int64_t examples = 0;
  for (const auto& entry : std::filesystem::directory_iterator(KEYSHARD_EXAMPLES_DIR)) {
    if (entry.path().extension() == ".toml") {
      EXPECT_NO_THROW(read_job_config(entry.path().string(), {})) << entry.path();
      ++examples;
    }
  }
  EXPECT_GT(examples, 0);
}

TEST(ConfigText, HasALinePerKeyWithItsPath) {
  const ResolvedSettings values{
      {"job.output", value_of("out")},
      {"config_version", value_of(std::int64_t{1})},
      {"list", value_of(SettingValue::Array{value_of(0.5), value_of(true)})}};
  EXPECT_EQ(config_text(values), "config_version = 1\njob.output = \"out\"\nlist = [0.5,true]\n");
}

}  // namespace
}  // namespace keyshard
