// What a training refuses although each key is right by itself, and what has no effect in it.
#include "launch/training/job_checks.hpp"

#include <gtest/gtest.h>

#include "launch/job_file.hpp"
#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;
using Lines = std::vector<std::string>;

const char* const kNoValidation = R"(config_version = 1
[data]
train = ["a.csv"]
header = true
[[data.columns]]
name = "click"
role = "label"
[[data.columns]]
name = "user"
role = "id"
)";

const char* const kGenerated = R"(config_version = 1
[data]
format = "generated"
)";

JobConfig read(const std::string& content, const Lines& assignments = {}) {
  const ScratchFolder folder;
  folder.write("a.csv", "click,user\n1,u\n");
  return read_job_config(folder.write("job.toml", content), assignments);
}

/// What refuse_unworkable says; empty: nothing.
std::string refusal_of(const std::string& content, const Lines& assignments) {
  try {
    refuse_unworkable(read(content, assignments));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::invalid_argument);
    return error.text();
  }
  return "";
}

TEST(Unworkable, AScheduleWithoutValidationDataIsToldKeyByKey) {
  EXPECT_EQ(
      refusal_of(kNoValidation, {"job.patience=2", "job.decay=0.5", "job.evaluate_every_steps=3",
                                 "job.evaluate_every_epochs=1", "job.unseen=[\"user\"]"}),
      "--set job.patience: job.patience: expected validation data, by data.valid or "
      "data.split.valid: found 2 and no "
      "validation data\n"
      "--set job.decay: job.decay: expected validation data, by data.valid or data.split.valid: "
      "found 0.5 and no "
      "validation data\n"
      "--set job.unseen: job.unseen: expected validation data, by data.valid or data.split.valid: "
      "found [\"user\"] and "
      "no validation data\n"
      "--set job.evaluate_every_steps: job.evaluate_every_steps: expected validation data, by "
      "data.valid or data.split.valid: found 3 and no validation data\n"
      "--set job.evaluate_every_epochs: job.evaluate_every_epochs: expected validation data, by "
      "data.valid or data.split.valid: found 1 and no validation data");
  EXPECT_EQ(refusal_of(kNoValidation, {}), "");
  EXPECT_EQ(refusal_of(kNoValidation, {"checkpoint.best=true"}),
            "--set checkpoint.best: checkpoint.best: expected validation data, by data.valid or "
            "data.split.valid: found true and no validation data");
  EXPECT_EQ(refusal_of(kNoValidation, {"data.valid=[\"a.csv\"]", "job.patience=2"}), "");
  EXPECT_EQ(refusal_of(kNoValidation, {"data.split.valid=0.1", "job.patience=2"}), "");
  EXPECT_EQ(refusal_of(kGenerated, {"job.patience=2", "job.decay=0.5"}), "");
}

TEST(Unworkable, AScheduleWithoutEvaluationsIsTold) {
  EXPECT_EQ(refusal_of(kGenerated, {"job.patience=2", "job.evaluate_every_epochs=0"}),
            "--set job.patience: job.patience: expected an evaluation now and then, by "
            "job.evaluate_every_epochs or job.evaluate_every_steps: found 2 and no evaluation");
  EXPECT_EQ(refusal_of(kGenerated, {"job.evaluate_every_epochs=0"}), "");
}

TEST(Unworkable, AMetricOfAnotherLossIsToldAndTheDefaultFollowsTheLoss) {
  for (const char* metric : {"auc", "log_loss"}) {
    EXPECT_EQ(
        refusal_of(kGenerated, {"model.loss=squared_error", std::string("job.metric=") + metric}),
        std::string("--set job.metric: job.metric: expected \"rmse\", which is the default "
                    "where model.loss is \"squared_error\": found \"") +
            metric + "\"");
  }
  EXPECT_EQ(refusal_of(kGenerated, {"model.loss=squared_error"}), "");
  EXPECT_EQ(read(kGenerated, {"model.loss=squared_error"}).job.metric, ValidationMetric::rmse);
  EXPECT_EQ(read(kGenerated, {"model.type=mf", "data.generator.dense=0"}).job.metric,
            ValidationMetric::rmse);
  EXPECT_EQ(read(kGenerated).job.metric, ValidationMetric::auc);
  EXPECT_EQ(refusal_of(kGenerated, {"job.metric=rmse"}), "");
}

TEST(Unworkable, BatchNormNeedsEightSamplesOfASlice) {
  const auto refusal = [](const char* batch, const char* slices) {
    return refusal_of(kGenerated, {"model.batch_norm=true", std::string("job.batch_size=") + batch,
                                   std::string("job.slices=") + slices});
  };
  EXPECT_EQ(refusal("112", "16"),
            "--set model.batch_norm: model.batch_norm: expected at least 8 samples in a slice of a "
            "batch, for statistics of their own: found job.batch_size / job.slices = 112 / 16; a "
            "batch_size of at least 128 or fewer slices do");
  EXPECT_EQ(refusal("128", "16"), "");
  EXPECT_EQ(refusal("64", "8"), "");
  EXPECT_EQ(refusal_of(kGenerated, {"job.batch_size=16"}), "");
}

TEST(WithoutEffect, IsListedWithItsReason) {
  EXPECT_EQ(without_effect(read(kNoValidation)), Lines{});
  EXPECT_EQ(without_effect(read(kGenerated, {"job.decay_patience=2", "job.least_decay=0.1",
                                             "model.batch_norm_momentum=0.5"})),
            (Lines{"--set job.decay_patience: job.decay_patience: without job.decay below 1",
                   "--set job.least_decay: job.least_decay: without job.decay below 1",
                   "--set model.batch_norm_momentum: model.batch_norm_momentum: without "
                   "model.batch_norm"}));
  EXPECT_EQ(without_effect(read(kNoValidation, {"job.metric=auc", "data.generator.seed=3"})),
            (Lines{"--set job.metric: job.metric: nothing is evaluated",
                   "--set data.generator.seed: data.generator: the data are not generated"}));
  const Lines metrics{"job.metrics.gauc=user", "job.metrics.by=user"};
  EXPECT_EQ(
      without_effect(read(kNoValidation, metrics)),
      Lines{"--set job.metrics.by: job.metrics: nothing is evaluated before `keyshard evaluate`"});
  EXPECT_EQ(without_effect(read(kNoValidation, {metrics[0], metrics[1], "data.split.valid=0.1"})),
            Lines{});
  EXPECT_EQ(without_effect(read(kNoValidation, {"data.split.by=[\"user\"]"})),
            Lines{"--set data.split.by: data.split: neither valid nor test is above 0"});
  EXPECT_EQ(without_effect(read(kNoValidation, {"data.split.test=0.1"})), Lines{});
  EXPECT_EQ(
      without_effect(read(kGenerated, {"model.type=mlp", "model.hidden=[]", "model.dropout=0.5",
                                       "embedding.linear.l2=0.1"})),
      (Lines{"--set model.dropout: model.dropout: there are no hidden layers",
             "--set embedding.linear.l2: embedding.linear: this model has no linear weights"}));
}

TEST(RepeatedFiles, AreToldWhereRecordsCountTwiceOrAreTrainedOnAndEvaluated) {
  const ScratchFolder folder;
  folder.write("a.csv", "click,user\n1,u\n");
  folder.write("b.csv", "click,user\n1,u\n");
  const std::string file = folder.write("job.toml", kNoValidation);
  const auto told = [&](const Lines& assignments) {
    Lines lines = repeated_files(read_job_config(file, assignments));
    for (std::string& line : lines) {
      line = folder.without_path(line);
    }
    return lines;
  };
  EXPECT_EQ(told({"data.valid=[\"b.csv\"]"}), Lines{});
  EXPECT_EQ(
      told({"data.train=[\"*.csv\"]", "data.valid=[\"./b.csv\"]"}),
      Lines{"--set data.valid: data.valid: b.csv is a file of data.train, too: its metrics are "
            "not those of new data"});
  EXPECT_EQ(told({"data.train=[\"*.csv\",\"a.csv\"]"}),
            Lines{"--set data.train: data.train: a.csv is named more than once, and its records "
                  "count as often"});
  EXPECT_EQ(told({"data.valid=[\"b.csv\",\"b.csv\"]"}),
            Lines{"--set data.valid: data.valid: b.csv is named more than once, and its records "
                  "count as often"});
  EXPECT_EQ(told({"data.split.valid=0.1"}), Lines{});

  // The file of a configuration that was named from here, and by its whole path.
  const std::string here = std::filesystem::relative(file).string();
  const Lines both =
      repeated_files(read_job_config(here, {"data.valid=[\"" + folder.path("a.csv") + "\"]"}));
  ASSERT_EQ(both.size(), 1u);
  EXPECT_EQ(folder.without_path(both[0]),
            "--set data.valid: data.valid: a.csv is a file of data.train, too: its metrics are not "
            "those of new data");
}

double rate_of(const JobConfig& config, std::size_t table, std::size_t group) {
  return learning_rate_of(config.embedding.tables[table].groups[group].optimizer);
}

TEST(LinearWeights, TakeOptimizerAndL2OfTheEmbeddingUnlessTheirTableSaysOtherwise) {
  const Lines both{"embedding.optimizer={type=\"adagrad\",learning_rate=0.5}", "embedding.l2=0.25",
                   "embedding.l2_per=\"occurrence\""};
  const JobConfig taken = read(kGenerated, both);
  EXPECT_TRUE(std::holds_alternative<Adagrad>(taken.embedding.tables[0].groups[1].optimizer));
  EXPECT_EQ(rate_of(taken, 0, 1), 0.5);
  EXPECT_EQ(taken.embedding.tables[0].groups[1].regularization.l2, 0.25f);
  EXPECT_TRUE(taken.embedding.tables[0].groups[1].regularization.l2_per_occurrence);
  EXPECT_EQ(std::get<double>(taken.values.at("embedding.linear.optimizer.learning_rate").value),
            0.5);
  EXPECT_EQ(std::get<double>(taken.values.at("embedding.linear.l2").value), 0.25);

  Lines own = both;
  own.push_back("embedding.linear.optimizer={type=\"sgd\",learning_rate=0.125}");
  own.push_back("embedding.linear.l2=0");
  own.push_back("tables.C2.optimizer={type=\"adam\",learning_rate=2}");
  const JobConfig given = read(kGenerated, own);
  EXPECT_EQ(rate_of(given, 0, 1), 0.125);
  EXPECT_EQ(given.embedding.tables[0].groups[1].regularization.l2, 0);
  EXPECT_EQ(rate_of(given, 1, 0), 2);
  EXPECT_EQ(rate_of(given, 1, 1), 0.125);

  const JobConfig logistic =
      read(kGenerated, {"model.type=logistic", "embedding.optimizer={type=\"adagrad\"}"});
  EXPECT_TRUE(std::holds_alternative<Adagrad>(logistic.embedding.tables[0].groups[0].optimizer));
}

TEST(LinearWeights, OfANamedTableTakeItsOptimizer) {
  const JobConfig config =
      read(kGenerated, {"tables.C2.optimizer={type=\"adagrad\",learning_rate=2}"});
  EXPECT_EQ(rate_of(config, 1, 1), 2);
  EXPECT_EQ(rate_of(config, 0, 1), 0.01);
  EXPECT_EQ(std::get<double>(config.values.at("tables.C2.linear.optimizer.learning_rate").value),
            2);
}

TEST(JobOutput, IsRelativeToTheFolderOfTheConfigurationAsTheDataAre) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder.path("deep"));
  const std::string path = folder.write("deep/job.toml", kGenerated);
  EXPECT_EQ(read_job_config(path, {}).job.output, folder.path("deep/out"));
  EXPECT_EQ(read_job_config(path, {"job.output=../a"}).job.output, folder.path("deep/../a"));
  const std::string absolute = folder.path("a");
  EXPECT_EQ(read_job_config(path, {"job.output=" + absolute}).job.output, absolute);
}

TEST(Rates, ThatAreNotFiniteAsAFloatAreRefused) {
  for (const auto& [value, problem] :
       {std::pair("inf", "expected a finite number: found inf"),
        {"nan", "expected a number of at least 0: found nan"},
        {"-1", "expected a number of at least 0: found -1"},
        {"1e300", "expected a number that is finite as a 32-bit float: found a larger one"}}) {
    for (const std::string key :
         {"embedding.optimizer.learning_rate", "embedding.l2", "model.l2"}) {
      try {
        read(kGenerated, {"embedding.optimizer={type=\"adagrad\"}", key + "=" + value});
        FAIL() << key << value;
      } catch (const Error& error) {
        EXPECT_EQ(error.text(), "--set " + key + ": " + key + ": " + problem);
      }
    }
  }
}

}  // namespace
}  // namespace keyshard
