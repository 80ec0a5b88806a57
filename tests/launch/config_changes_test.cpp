// Which keys may change at a resume, by the rule of each kind of key, and the messages about
// differences.
#include "launch/config_changes.hpp"

#include <gtest/gtest.h>

#include "launch/toml_file.hpp"
#include "launch/training/job_config.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

using Lines = std::vector<std::string>;

/// The resolved configuration of a small job after some assignments.
ResolvedSettings values_of(const Lines& assignments) {
  SettingValue tree{SettingValue::Table{}, ""};
  for (const char* given : {"config_version=1", "data.format=generated", "model.type=deepfm",
                            "embedding.dim=4", "embedding.optimizer={type=\"adam\"}"}) {
    set_value(tree, given);
  }
  for (const std::string& assignment : assignments) {
    set_value(tree, assignment);
  }
  return job_config_of(tree, "").values;
}

TEST(ConfigChanges, OfWhereAndHowLongAJobRunsAreFree) {
  for (const char* key : {"job.steps",
                          "job.epochs",
                          "job.output",
                          "job.overlap",
                          "job.threads",
                          "job.patience",
                          "job.unseen",
                          "job.metrics.by",
                          "job.metrics.gauc",
                          "job.numerics",
                          "job.watchdog_seconds",
                          "job.report_every_seconds",
                          "job.start_seconds",
                          "job.tensorboard",
                          "job.report_every_steps",
                          "checkpoint.best_every_seconds",
                          "checkpoint.keep",
                          "checkpoint.every_steps",
                          "checkpoint.on_failure",
                          "data.train",
                          "data.valid",
                          "data.test",
                          "data.memory_bytes",
                          "data.max_bad_lines",
                          "embedding.exchange",
                          "tables.C1.exchange",
                          "tables.C1.pretrained",
                          "tables.C1.init_capacity",
                          "tables.C1.bp_v2"}) {
    EXPECT_EQ(change_of(key), KeyChange::free) << key;
  }
}

TEST(ConfigChanges, OfRatesAndEvaluationsAreTold) {
  for (const char* key :
       {"model.optimizer.learning_rate", "embedding.linear.optimizer.learning_rate",
        "tables.C1.optimizer.learning_rate", "job.batch_size", "job.decay", "job.decay_patience",
        "job.least_decay", "job.evaluate_every_steps", "job.evaluate_every_epochs",
        "embedding.trainable", "tables.C1.trainable", "data.columns[2].trainable"}) {
    EXPECT_EQ(change_of(key), KeyChange::steers) << key;
  }
}

TEST(ConfigChanges, OfWhatDecidesBitsAreRefused) {
  for (const char* key : {"config_version",
                          "job.seed",
                          "job.slices",
                          "job.metric",
                          "job.drop_last",
                          "model.type",
                          "model.hidden",
                          "model.dropout",
                          "model.loss",
                          "model.optimizer.type",
                          "embedding.dim",
                          "embedding.pool_order",
                          "embedding.l2",
                          "embedding.clip_value",
                          "tables.C1.clip_norm",
                          "tables.C1.max_norm",
                          "tables.C1.optimizer.type",
                          "tables.C1.optimizer.learning_rate_power",
                          "data.window",
                          "data.shuffle",
                          "data.separator",
                          "data.block_bytes",
                          "data.columns[0].role",
                          "data.generator.seed",
                          "data.train_skip_lines",
                          "exchange",
                          "job.stepsize"}) {
    EXPECT_EQ(change_of(key), KeyChange::fixed) << key;
  }
}

TEST(ConfigChanges, WhereACheckpointIsScoredKeysOfTheTrainingAloneAreFree) {
  for (const CheckpointUse use : {CheckpointUse::score, CheckpointUse::start}) {
    for (const char* key :
         {"data.format", "data.header", "data.columns[0].index", "data.generator.records",
          "embedding.optimizer.learning_rate", "embedding.linear.optimizer.l1", "job.batch_size",
          "job.metric", "job.drop_last", "model.dropout", "model.l2", "tables.C1.weight_decay"}) {
      EXPECT_EQ(change_of(key, use), KeyChange::free) << key;
    }
    for (const char* key :
         {"data.columns[0].name", "data.columns[1].type", "data.columns[1].transform",
          "data.columns[1].fill", "data.missing", "data.separator", "data.trim", "data.quote",
          "data.generator.features", "embedding.combiner", "embedding.dim",
          "embedding.initializer.stddev", "embedding.optimizer.type", "job.seed", "job.slices",
          "model.batch_norm", "model.hidden", "model.loss", "model.type"}) {
      EXPECT_EQ(change_of(key, use), KeyChange::fixed) << key;
    }
  }
  EXPECT_EQ(
      config_changes(values_of({}), values_of({"embedding.dim=8"}), CheckpointUse::score).refused,
      Lines{"embedding.dim may not change where a checkpoint is scored: expected 4: found 8"});
}

TEST(ConfigChanges, AreAllNamedWithBothValues) {
  const ConfigChanges changes = config_changes(
      values_of({"job.seed=1", "job.steps=10", "model.dropout=0.5", "model.hidden=[8,4]"}),
      values_of({"job.seed=2", "job.steps=20", "model.dropout=0", "model.hidden=[8]",
                 "model.optimizer={type=\"adam\",learning_rate=0.5}", "job.decay=0.5"}));
  EXPECT_EQ(changes.refused,
            (Lines{"job.seed may not change at a resume: expected 1: found 2",
                   "model.dropout may not change at a resume: expected 0.5: found 0.0",
                   "model.hidden may not change at a resume: expected [8,4]: found [8]"}));
  EXPECT_EQ(changes.told, (Lines{"job.decay was 1.0 and is 0.5",
                                 "model.optimizer.learning_rate was 0.001 and is 0.5"}));
}

TEST(ConfigChanges, TheLengthOfAJobIsToldWhereACosineEndsWithIt) {
  const auto told = [](const char* schedule) {
    return config_changes(values_of({schedule, "job.steps=10"}),
                          values_of({schedule, "job.steps=20"}))
        .told;
  };
  EXPECT_EQ(told("job.schedule=cosine"), Lines{"job.steps was 10 and is 20"});
  EXPECT_EQ(told("job.schedule={type=\"cosine\",steps=15}"), Lines{});
  EXPECT_EQ(told("job.schedule=step"), Lines{});
}

TEST(ConfigChanges, TheGroupsOfGaucAreToldWhereGaucSteersTheJob) {
  const auto told = [](const char* metric) {
    const auto with = [&](const char* groups) {
      return values_of({metric, groups, "job.steps=10"});
    };
    return config_changes(with("job.metrics.gauc=C1"), with("job.metrics.gauc=C2")).told;
  };
  EXPECT_EQ(told("job.metric=gauc"), Lines{"job.metrics.gauc was \"C1\" and is \"C2\""});
  EXPECT_EQ(told("job.metric=auc"), Lines{});
}

TEST(ConfigChanges, AreOfValuesAndNotOfHowTheyAreWritten) {
  const ResolvedSettings given =
      values_of({"job.seed=1", "model.dropout=0", "job.decay=1", "model.optimizer=adam",
                 "embedding.linear.optimizer={type=\"adam\",learning_rate=0.001}",
                 "embedding.initializer=normal", "embedding.linear.initializer=zeros"});
  const ResolvedSettings left_out = values_of({});
  const ConfigChanges changes = config_changes(given, left_out);
  EXPECT_EQ(changes.refused, Lines{});
  EXPECT_EQ(changes.told, Lines{});
}

TEST(ConfigChanges, ATableThatIsNotNamedHasTheDefaultsOfAll) {
  const ResolvedSettings plain = values_of({});
  EXPECT_EQ(config_changes(plain, values_of({"tables.C1.init_capacity=100"})).refused, Lines{});
  EXPECT_EQ(config_changes(values_of({"tables.C1.dim=4"}), plain).refused, Lines{});
  EXPECT_EQ(config_changes(plain, values_of({"tables.C1.dim=8"})).refused,
            Lines{"tables.C1.dim may not change at a resume: expected 4: found 8"});
}

TEST(ConfigChanges, AreNoneAfterTheValuesWereText) {
  const ResolvedSettings values = values_of(
      {"model.dropout=0.1", "model.l2=1", "embedding.l2=1e-30", "data.missing=[\"\\n\"]"});
  SettingValue::Table table(values.begin(), values.end());
  const SettingValue read = parse_json(json_text(value_of(std::move(table))), "");
  const auto& entries = std::get<SettingValue::Table>(read.value);
  const ResolvedSettings saved(entries.begin(), entries.end());
  const ConfigChanges changes = config_changes(saved, values);
  EXPECT_EQ(changes.refused, Lines{});
  EXPECT_EQ(changes.told, Lines{});
  EXPECT_EQ(saved.size(), values.size());
}

}  // namespace
}  // namespace keyshard
