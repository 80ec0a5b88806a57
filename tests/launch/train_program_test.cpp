// How a training starts and ends: what it refuses before its first step, where it writes, what it
// does with a folder that has a job already, and how it goes on from a checkpoint with new data.
#include <csignal>

#include <fmt/format.h>
#include <sys/mount.h>

#include "tests/launch/program_fixture.hpp"
#include "tests/support/small_disk.hpp"

namespace keyshard::testing {
namespace {

class Train : public ProgramTest {
 protected:
  void SetUp() override { folder_.write("job.toml", kSmallJob); }

  Ending train(const std::string& options, const std::string& prefix = "") {
    return run("train job.toml " + options, prefix);
  }

  /// A library that a program loads before others: flock fails with this error there.
  std::string without_locks(const char* error) {
    folder_.write("flock.c", fmt::format("#include <errno.h>\nint flock(int f, int o) {{ (void)f; "
                                         "(void)o; errno = {}; return -1; }}\n",
                                         error));
    EXPECT_EQ(shell("cc -shared -fPIC -o flock.so flock.c").code, 0);
    return "env LD_PRELOAD='" + folder_.path("flock.so") + "'";
  }
};

TEST_F(Train, RefusesWhatCannotWorkBeforeAnyWork) {
  for (const auto& [options, part] :
       {std::pair("--set job.evaluate_every_epochs=0 --set job.patience=1",
                  "job.patience: expected an evaluation now and then"),
        {"--set model.loss=squared_error --set job.metric=auc", "job.metric: expected \"rmse\""},
        {"--set model.type=mlp --set model.batch_norm=true --set job.batch_size=16",
         "model.batch_norm: expected at least 8 samples in a slice"}}) {
    const Ending refused = train(std::string("--output out ") + options);
    EXPECT_EQ(refused.code, kExitUsage) << refused.out;
    EXPECT_NE(refused.error.find(part), std::string::npos) << refused.error;
    EXPECT_FALSE(exists("out"));
  }
}

TEST_F(Train, RefusesDataThatAreTooFewForWhatIsAsked) {
  const Ending slices = train(
      "--output a --set model.type=mlp --set model.batch_norm=true --set "
      "data.generator.records=31");
  EXPECT_EQ(slices.code, kExitUsage) << slices.out;
  EXPECT_NE(
      slices.error.find("expected at least 8 samples in each of the 4 slices of a batch: found "
                        "31 records of training data"),
      std::string::npos)
      << slices.error;
  const Ending schedule = train(
      "--output b --steps 5 --set job.evaluate_every_epochs=0 --set job.evaluate_every_steps=6 "
      "--set job.decay=0.5");
  EXPECT_EQ(schedule.code, kExitUsage) << schedule.out;
  EXPECT_NE(
      schedule.error.find("job.evaluate_every_steps: expected at most the 5 steps of the job"),
      std::string::npos)
      << schedule.error;
}

TEST_F(Train, ThatFailsBeforeItsFirstStepLeavesNoFolderOfItsOwn) {
  folder_.write("bad.csv", "label,a\n1,x\n");
  folder_.write("bad.toml", R"(config_version = 1
[data]
train = ["bad.csv"]
header = true
[model]
type = "logistic"
[[data.columns]]
name = "label"
role = "label"
[[data.columns]]
name = "b"
role = "id"
)");
  std::filesystem::create_directory(folder_.path("kept"));
  for (const int ranks : {1, 2}) {
    SCOPED_TRACE(ranks);
    for (const char* output : {"new/inner", "kept/new", "kept"}) {
      const Ending refused = run(fmt::format("train bad.toml --output {}", output), mpirun(ranks));
      EXPECT_EQ(refused.code, kExitUsage) << refused.error;
      EXPECT_NE(refused.error.find("expected a column \"b\""), std::string::npos) << refused.error;
    }
    EXPECT_FALSE(exists("new"));
    EXPECT_FALSE(exists("kept/new"));
    EXPECT_TRUE(exists("kept"));
  }
}

TEST_F(Train, ListsWhatHasNoEffect) {
  const Ending trained = train("--output out --steps 1 --set job.decay_patience=3");
  EXPECT_EQ(trained.code, kExitDone) << trained.error;
  EXPECT_NE(trained.out.find("warning: no effect: --set job.decay_patience: job.decay_patience: "
                             "without job.decay below 1\n"),
            std::string::npos)
      << trained.out;
}

TEST_F(Train, TellsOfALimitOfRowsThatNoStepLooksAt) {
  const std::string limit =
      "--output out --steps 2 --set embedding.restrict_policy=timestamp --set embedding.max_rows=5";
  const std::string warning = "warning: no effect: max_rows of table ";
  const Ending never = train(limit);
  EXPECT_EQ(never.code, kExitDone) << never.error;
  EXPECT_NE(never.out.find(warning), std::string::npos) << never.out;
  const Ending once = train(limit + " --overwrite --set embedding.restrict_every=2");
  EXPECT_EQ(once.code, kExitDone) << once.error;
  EXPECT_EQ(once.out.find(warning), std::string::npos) << once.out;
  EXPECT_NE(once.out.find("step 2: "), std::string::npos) << once.out;
}

/// A configuration whose validation data have labels of one class.
class TrainOnOneClass : public ProgramTest {
 protected:
  void SetUp() override {
    std::string text = "y,u\n";
    for (int i = 0; i < 64; ++i) {
      text += fmt::format("{},u{}\n", i % 2, i % 7);
    }
    folder_.write("train.csv", text);
    folder_.write("valid.csv", "y,u\n1,u1\n1,u2\n");
    folder_.write("text.toml", R"(config_version = 1
[job]
batch_size = 16
slices = 4
threads = 1
[data]
train = ["train.csv"]
valid = ["valid.csv"]
header = true
[model]
type = "logistic"
[[data.columns]]
name = "y"
role = "label"
[[data.columns]]
name = "u"
role = "id"
)");
  }
};

TEST_F(TrainOnOneClass, AnUndefinedMetricIsSkippedByNameOrEndsTheJobWhereAScheduleNeedsIt) {
  const Ending skipped = run("train text.toml --output a --set job.evaluate_every_steps=1");
  EXPECT_EQ(skipped.code, kExitDone) << skipped.error;
  EXPECT_EQ(count(skipped.out,
                  "warning: auc is undefined on the validation data: 2 samples, labels "
                  "of one class (mean 1); no step counts as the best\n"),
            1u)
      << skipped.out;
  EXPECT_EQ(count(skipped.out, "nan"), 0u) << skipped.out;
  EXPECT_EQ(count(skipped.out, "valid: auc undefined, log loss 0."), 4u) << skipped.out;
  const Ending ended = run("train text.toml --output b --set job.patience=1");
  EXPECT_EQ(ended.code, kExitUsage) << ended.out;
  EXPECT_NE(
      ended.error.find("auc is undefined on the validation data: 2 samples, labels of one class "
                       "(mean 1); job.patience and job.decay need a metric that is defined, "
                       "such as job.metric = \"log_loss\""),
      std::string::npos)
      << ended.error;
  EXPECT_EQ(run("train text.toml --output c --set job.patience=1 --set job.metric=log_loss").code,
            kExitDone);
}

TEST_F(Train, SaysThatNothingIsLeftToDo) {
  const std::string options = "--output out --steps 3 --set checkpoint.at_end=true";
  const Ending first = train(options);
  ASSERT_EQ(first.code, kExitDone) << first.error;
  const Ending again = train(options + " --resume latest");
  EXPECT_EQ(again.code, kExitDone) << again.error;
  EXPECT_NE(again.out.find("nothing left to do: 3 of 3 steps\n"), std::string::npos) << again.out;
  EXPECT_EQ(digest_in(again.out), digest_in(first.out));
  EXPECT_EQ(count(first.out, "nothing left"), 0u);
}

TEST_F(Train, OverwritesWhatTheFolderHoldsWhereItIsAskedTo) {
  const std::string options = "--output out --set checkpoint.at_end=true --steps ";
  const std::string digest = digest_in(train("--output other --steps 3").out);
  ASSERT_EQ(train(options + "5").code, kExitDone);
  const Ending refused = train(options + "3");
  EXPECT_EQ(refused.code, kExitUsage);
  EXPECT_NE(refused.error.find("--overwrite replaces what it holds"), std::string::npos)
      << refused.error;
  EXPECT_EQ(train(options + "3 --overwrite --resume latest").code, kExitUsage);
  EXPECT_NE(train(options + "3 --overwrite --set data.format=text").code, kExitDone);
  EXPECT_EQ(checkpoints("out"), std::vector<std::string>{"step-000005"});

  const Ending replaced = train(options + "3 --overwrite", mpirun(2));
  EXPECT_EQ(replaced.code, kExitDone) << replaced.error;
  EXPECT_EQ(digest_in(replaced.out), digest);
  EXPECT_EQ(checkpoints("out"), std::vector<std::string>{"step-000003"});
  EXPECT_EQ(count(folder_.read("out/metrics.jsonl"), "\"step\":5"), 0u);
}

TEST_F(Train, GoesOnFromACheckpointWithNewData) {
  ASSERT_EQ(train("--output day1 --steps 4 --set checkpoint.at_end=true").code, kExitDone);
  const std::string options =
      "--start-from day1 --set data.generator.seed=2 --set job.epochs=3 --output ";
  const Ending one = train(options + "day2 --set checkpoint.at_end=true --steps 4");
  ASSERT_EQ(one.code, kExitDone) << one.error;
  EXPECT_NE(one.out.find("started from the rows, weights and optimizers of "
                         "day1/checkpoints/step-000004, after 4 steps\n"),
            std::string::npos)
      << one.out;
  EXPECT_EQ(newest_step("day2"), 4);
  const Ending two = train(options + "two --steps 4", mpirun(2));
  EXPECT_EQ(digest_in(two.out), digest_in(one.out));
  EXPECT_NE(digest_in(train("--output fresh --steps 4 --set data.generator.seed=2").out),
            digest_in(one.out));
  // The second day can be resumed like any job.
  const std::string longer = "--set data.generator.seed=2 --set job.epochs=3 --steps 6 --output ";
  const Ending resumed = train(longer + "day2 --resume latest");
  EXPECT_EQ(resumed.code, kExitDone) << resumed.error;
  EXPECT_EQ(digest_in(resumed.out),
            digest_in(train("--start-from day1/4 " + longer + "whole").out));

  const Ending other = train(options + "no --set embedding.linear.optimizer=adam");
  EXPECT_EQ(other.code, kExitCheckpoint) << other.out;
  EXPECT_NE(other.error.find("embedding.linear.optimizer.type may not change in a training that "
                             "starts from a checkpoint: expected \"sgd\": found \"adam\""),
            std::string::npos)
      << other.error;
}

TEST_F(Train, GoesOnWithAWarningWhereThereAreNoLocks) {
  for (const char* error : {"ENOSYS", "ENOLCK", "EOPNOTSUPP"}) {
    const Ending trained = train(std::string("--steps 1 --output ") + error, without_locks(error));
    EXPECT_EQ(trained.code, kExitDone) << trained.error;
    EXPECT_EQ(count(trained.out, "/.lock: cannot lock: "), 1u) << trained.out;
    EXPECT_NE(trained.out.find("nothing keeps a second job out of "), std::string::npos)
        << trained.out;
  }
}

TEST_F(Train, FollowsAFolderOfCheckpointsThatIsALinkAndRefusesOneThatLeadsNowhere) {
  std::filesystem::create_directories(folder_.path("scratch"));
  std::filesystem::create_directories(folder_.path("out"));
  std::filesystem::create_symlink("../scratch", folder_.path("out/checkpoints"));
  const std::string options = "--output out --set checkpoint.at_end=true --steps ";
  const Ending trained = train(options + "2");
  EXPECT_EQ(trained.code, kExitDone) << trained.error;
  EXPECT_EQ(newest_step("out"), 2);
  EXPECT_EQ(train(options + "3 --resume latest").code, kExitDone);

  std::filesystem::create_directories(folder_.path("lost"));
  std::filesystem::create_symlink("../nothing", folder_.path("lost/checkpoints"));
  const Ending refused = train("--output lost --steps 2");
  EXPECT_EQ(refused.code, kExitFailure);
  EXPECT_NE(refused.error.find("lost/checkpoints: expected a link to a folder: "),
            std::string::npos)
      << refused.error;
  EXPECT_EQ(count(refused.out, "step "), 0u) << refused.out;
}

TEST_F(Train, LostReportsDecideTheExitCodeAsConfigured) {
  const SmallDisk disk(folder_.path("small"), 16 << 10);
  if (!disk.mounted()) {
    GTEST_SKIP() << "needs to mount a tmpfs: run as root";
  }
  const std::string options =
      "--output small/out --steps 100 --set job.epochs=100 --set job.report_every_steps=1";
  const Ending lost = train(options, mpirun(2));
  EXPECT_EQ(lost.code, kExitFailure) << lost.out;
  EXPECT_NE(lost.error.find("error: small/out/metrics.jsonl: "), std::string::npos) << lost.error;
  EXPECT_NE(lost.error.find(" lines could not be written"), std::string::npos) << lost.error;
  EXPECT_NE(lost.error.find("No space left on device"), std::string::npos) << lost.error;
  const Ending told = train(options + " --set checkpoint.on_failure=continue");
  EXPECT_EQ(told.code, kExitDone) << told.error;
  EXPECT_NE(told.error.find("warning: small/out/metrics.jsonl: "), std::string::npos) << told.error;
}

TEST_F(Train, ASaveCountsAsDoneWhereAnOlderCheckpointCannotBeRemoved) {
  const std::string options =
      "--output out --set checkpoint.every_steps=2 --set checkpoint.at_end=true --steps ";
  ASSERT_EQ(train(options + "4").code, kExitDone);
  const SmallDisk held(folder_.path("out/checkpoints/step-000002/held"), 4096);
  if (!held.mounted()) {
    GTEST_SKIP() << "needs to mount a tmpfs: run as root";
  }
  const Ending saved = train(options + "8 --resume latest");
  ::umount2(folder_.path("out/checkpoints/step-000002.tmp-removed/held").c_str(), MNT_DETACH);
  EXPECT_EQ(saved.code, kExitDone) << saved.error;
  EXPECT_NE(
      saved.out.find("warning: step 6 was saved, but not all that it replaces could be removed: "
                     "out/checkpoints/step-000002.tmp-removed: cannot remove: "),
      std::string::npos)
      << saved.out;
  EXPECT_EQ(count(saved.out, "was not saved"), 0u) << saved.out;
  EXPECT_EQ(newest_step("out"), 8);
  EXPECT_EQ(run("inspect out/6").code, kExitDone);
}

TEST_F(Train, TheEndOfItsTerminalSavesAsTermDoes) {
  RunningCommand job(folder_, "env --default-signal=HUP " KEYSHARD_PROGRAM
                              " train job.toml --output out --set job.epochs=1000000");
  ASSERT_TRUE(
      wait_until([&] { return count(folder_.read("out/metrics.jsonl"), "\"step\":") > 3; }));
  job.signal(SIGHUP);
  const Ending stopped = job.wait();
  EXPECT_EQ(stopped.code, kExitStopped) << stopped.error;
  EXPECT_GT(newest_step("out"), 0);
}

TEST_F(Train, ALimitOfTheSizeOfFilesIsAFullDisk) {
  const Ending limited =
      shell("bash -c 'ulimit -f 6; exec " KEYSHARD_PROGRAM
            " train job.toml --output out --steps 2 --set checkpoint.at_end=true'");
  EXPECT_EQ(limited.code, kExitFailure) << limited.error;
  EXPECT_NE(limited.error.find("out/checkpoints/step-000002.tmp-"), std::string::npos)
      << limited.error;
  EXPECT_NE(limited.error.find("File too large"), std::string::npos) << limited.error;
  EXPECT_EQ(checkpoints("out"), std::vector<std::string>{});
}

TEST_F(Train, LeavesStandardInputToWhoStartedMpirun) {
  folder_.write("lines", "first\nsecond\n");
  const Ending looped = shell("bash -c 'while read -r line; do echo \"read $line\"; " + mpirun(1) +
                              " true; done < lines'");
  EXPECT_EQ(looped.out, "read first\nread second\n") << looped.error;
}

}  // namespace
}  // namespace keyshard::testing
