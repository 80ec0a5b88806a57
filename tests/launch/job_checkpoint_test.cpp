// Which checkpoints the program accepts, and how it refuses others (damaged, foreign, of a newer
// format): with file, reason and exit code; and folders that are in use.
// tests/io/checkpoint_damage_test.cpp has every kind of damage.
#include <csignal>
#include <sstream>

#include <fmt/format.h>

#include "io/checkpoint_folder.hpp"
#include "runtime/digest.hpp"
#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

class JobCheckpoint : public ProgramTest {
 protected:
  void SetUp() override {
    folder_.write("job.toml", kSmallJob);
    const Ending first =
        run("train job.toml --output out --steps 5 --set checkpoint.at_end=true", mpirun(2));
    ASSERT_EQ(first.code, kExitDone) << first.error;
  }

  /// Resumes on two ranks, which must refuse the checkpoint: exit code 3, one message that contains
  /// all of `parts`.
  void expect_refused(const std::string& options, const std::vector<std::string>& parts) {
    const Ending resumed =
        run("train job.toml --output out --steps 9 --resume latest " + options, mpirun(2));
    EXPECT_EQ(resumed.code, kExitCheckpoint) << resumed.out << resumed.error;
    EXPECT_EQ(count(resumed.error, "error: "), 1u) << resumed.error;
    for (const std::string& part : parts) {
      EXPECT_NE(resumed.error.find(part), std::string::npos) << part << " in\n" << resumed.error;
    }
  }

  /// Writes a manifest with a last member, its digest, that fits the text.
  void write_manifest(const std::string& name, const std::string& text) {
    const std::size_t tail = text.rfind(",\n  \"digest\"");
    folder_.write(name, fmt::format("{},\n  \"digest\": \"{}\"\n}}\n", text.substr(0, tail),
                                    keyshard::digest_of(text.data(), tail).hex()));
  }

  /// The step and the AUC of the best evaluation, by the metrics of a job.
  std::pair<std::int64_t, double> best_of(const std::string& output) const {
    std::istringstream lines(folder_.read(output + "/metrics.jsonl"));
    std::pair<std::int64_t, double> best(-1, 0);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("\"best\":true") != std::string::npos) {
        best = {std::atol(line.c_str() + line.find("\"step\":") + 7),
                std::atof(line.c_str() + line.find("\"auc\":") + 6)};
      }
    }
    return best;
  }

  const std::string step_ = "out/checkpoints/step-000005";
};

TEST_F(JobCheckpoint, WithAFlippedByteIsRefused) {
  const std::string name = step_ + "/rank-0001-of-0002.h5";
  std::string bytes = folder_.read(name);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  folder_.write(name, bytes);
  expect_refused("", {name, "expected the digest"});
}

TEST_F(JobCheckpoint, WithoutOneOfItsFilesIsRefused) {
  std::filesystem::remove(folder_.path(step_ + "/rank-0000-of-0002.h5"));
  expect_refused("", {step_, "rank-0000-of-0002.h5"});
}

TEST_F(JobCheckpoint, WithFilesThatAreNotItsOwnIsRefused) {
  ASSERT_EQ(run("train job.toml --output twin --steps 5 --set checkpoint.at_end=true --set "
                "data.generator.seed=2",
                mpirun(2))
                .code,
            kExitDone);
  const std::string first = folder_.path(step_ + "/rank-0000-of-0002.h5"),
                    second = folder_.path(step_ + "/rank-0001-of-0002.h5"),
                    twin = folder_.path("twin/checkpoints/step-000005/rank-0001-of-0002.h5"),
                    doubled = folder_.path(step_ + "/rank-0002-of-0002.h5");
  constexpr auto kOver = std::filesystem::copy_options::overwrite_existing;
  const std::string good = folder_.read(step_ + "/rank-0001-of-0002.h5");

  std::filesystem::resize_file(second, good.size() - 1);
  expect_refused("", {"rank-0001-of-0002.h5", "bytes"});
  std::filesystem::copy_file(twin, second, kOver);  // of another job
  expect_refused("", {"rank-0001-of-0002.h5", "expected"});
  std::filesystem::copy_file(first, second, kOver);
  expect_refused("", {"rank-0001-of-0002.h5", "expected"});
  std::filesystem::remove(second);
  folder_.write("outside", good);
  std::filesystem::create_symlink(folder_.path("outside"), second);
  expect_refused("", {"rank-0001-of-0002.h5", "symbolic link"});
  std::filesystem::remove(second);
  std::filesystem::copy_file(folder_.path("outside"), second);
  std::filesystem::copy_file(first, doubled);
  expect_refused("", {"rank-0002-of-0002.h5", "foreign"});
  std::filesystem::remove(doubled);
  EXPECT_EQ(run("train job.toml --output out --steps 6 --resume latest").code, kExitDone);
}

TEST_F(JobCheckpoint, OfANewerFormatIsRefused) {
  const std::string name = step_ + "/manifest.json";
  std::string text = folder_.read(name);
  const std::string before = "\"format\": 4,";
  ASSERT_NE(text.find(before), std::string::npos);
  text.replace(text.find(before), before.size(), "\"format\": 5,");
  write_manifest(name, text);
  expect_refused("", {name, "expected format version 1 to 4", "found 5"});
}

TEST_F(JobCheckpoint, OfAnotherModelIsRefused) {
  const std::string score = " may not change where a checkpoint is scored: expected ";
  for (const auto& [option, part] :
       {std::pair("model.type=fm", "model.type" + score + "\"logistic\": found \"fm\""),
        {"data.generator.features=2", "data.generator.features" + score + "3: found 2"},
        {"job.seed=2", "job.seed" + score + "1: found 2"}}) {
    const Ending evaluated =
        run(fmt::format("evaluate job.toml --checkpoint out --set {}", option), mpirun(2));
    EXPECT_EQ(evaluated.code, kExitCheckpoint) << evaluated.out << evaluated.error;
    EXPECT_NE(evaluated.error.find(step_ + ": "), std::string::npos) << evaluated.error;
    EXPECT_NE(evaluated.error.find(part), std::string::npos) << part << evaluated.error;
  }
}

TEST_F(JobCheckpoint, OfAnotherConfigurationIsRefusedNamingAllKeys) {
  const std::string before = digest_of("out");
  const Ending refused =
      run("train job.toml --output out --steps 9 --resume latest --set job.seed=2 --set "
          "job.slices=8 --set embedding.optimizer=adam --set model.type=fm",
          mpirun(2));
  EXPECT_EQ(refused.code, kExitCheckpoint);
  for (const char* part :
       {"job.seed may not change at a resume: expected 1: found 2",
        "job.slices may not change at a resume: expected 4: found 8",
        "model.type may not change at a resume: expected \"logistic\": found \"fm\"",
        "embedding.optimizer.type may not change at a resume: expected \"sgd\": found \"adam\""}) {
    EXPECT_EQ(count(refused.error, "error: rank 0: " + step_ + ": " + part), 1u) << refused.error;
  }
  EXPECT_EQ(count(refused.error, "error: rank 1"), 0u) << refused.error;
  EXPECT_EQ(count(refused.out, "resumed from"), 0u) << refused.out;
  EXPECT_EQ(checkpoints("out"), std::vector<std::string>{step_name(5)});
  EXPECT_EQ(digest_of("out"), before);
}

TEST_F(JobCheckpoint, OfAnotherConfigurationIsEvaluatedWhereItsModelIsTheSame) {
  const Ending evaluated =
      run("evaluate job.toml --checkpoint out --set job.batch_size=128 --set job.metric=log_loss");
  EXPECT_EQ(evaluated.code, kExitDone) << evaluated.error;
}

TEST_F(JobCheckpoint, GoesOnWithAnotherLearningRateAndSaysSo) {
  const Ending resumed =
      run("train job.toml --output out --resume latest --steps 9 --set "
          "embedding.linear.optimizer={type=\\\"sgd\\\",learning_rate=0.25}",
          mpirun(2));
  EXPECT_EQ(resumed.code, kExitDone) << resumed.error;
  EXPECT_EQ(count(resumed.out,
                  "warning: since the checkpoint, embedding.linear.optimizer.learning_rate was "
                  "0.01 and is 0.25"),
            1u)
      << resumed.out;
  EXPECT_EQ(count(resumed.out, "warning"), 1u) << resumed.out;
}

TEST_F(JobCheckpoint, GoesOnWithOtherTrainingDataNamedOnlyByContent) {
  const Ending generated = run("generate data --records 2000 --valid-records 300 --features 3");
  ASSERT_EQ(generated.code, kExitDone) << generated.error;
  const std::string train = "train data/click-log.toml --output text --set job.batch_size=256 ";
  ASSERT_EQ(run(train + "--steps 3").code, kExitDone);
  std::filesystem::rename(folder_.path("data/train.tsv"), folder_.path("data/moved.tsv"));
  const std::string resume =
      train + "--resume latest --set data.train=[\\\"moved.tsv\\\"] --steps ";
  EXPECT_EQ(run(resume + "5").code, kExitDone);

  std::string text = folder_.read("data/moved.tsv");
  folder_.write("data/moved.tsv", text + text.substr(0, text.find('\n') + 1));
  const Ending other = run(resume + "7");
  EXPECT_EQ(other.code, kExitCheckpoint);
  EXPECT_NE(other.error.find("text/checkpoints/step-000005: expected the training data of this "
                             "checkpoint: found other files, sizes, records or content"),
            std::string::npos)
      << other.error;
}

TEST_F(JobCheckpoint, NoticesOtherContentOfTheSameSize) {
  ASSERT_EQ(run("generate data --records 2000 --valid-records 300 --features 3").code, kExitDone);
  const std::string train = "train data/click-log.toml --output text --set job.batch_size=256 ";
  ASSERT_EQ(run(train + "--steps 3").code, kExitDone);
  const std::string path = folder_.path("data/train.tsv");
  const auto time = std::filesystem::last_write_time(path);
  std::string text = folder_.read("data/train.tsv");
  const std::size_t label = text.find('\n') + 1;
  text[label] = text[label] == '0' ? '1' : '0';
  folder_.write("data/train.tsv", text);
  std::filesystem::last_write_time(path, time);
  const Ending same_time = run(train + "--resume latest --steps 5");
  EXPECT_EQ(same_time.code, kExitUsage) << same_time.error;
  EXPECT_NE(same_time.error.find("as they were counted: found others"), std::string::npos)
      << same_time.error;

  std::filesystem::last_write_time(path, time + std::chrono::seconds(1));
  const Ending newer = run(train + "--resume latest --steps 5");
  EXPECT_EQ(newer.code, kExitCheckpoint);
  EXPECT_NE(newer.error.find("records or content; --start-from in place of --resume goes on with "
                             "new data"),
            std::string::npos)
      << newer.error;
}

TEST_F(JobCheckpoint, GoesOnInSilenceWithEveryKeyThatIsFree) {
  const Ending resumed = run(
      "train job.toml --output out --resume latest --steps 9 --threads 2 --set job.epochs=7 --set "
      "job.patience=9 --set job.report_every_steps=1 --set job.watchdog_seconds=30 --set "
      "job.unseen=[\\\"C1\\\"] --set checkpoint.every_steps=2 --set checkpoint.keep=3 --set "
      "tables.C1.init_capacity=100 --set embedding.init_capacity=10",
      mpirun(3));
  EXPECT_EQ(resumed.code, kExitDone) << resumed.error;
  EXPECT_EQ(count(resumed.out, "warning"), 0u) << resumed.out;
}

TEST_F(JobCheckpoint, OfOtherValidationDataIsTakenUpWithAWarning) {
  const Ending generated = run("generate data --records 2000 --valid-records 300 --features 3");
  ASSERT_EQ(generated.code, kExitDone) << generated.error;
  const std::string train = "train data/click-log.toml --output text --set job.batch_size=256 ";
  ASSERT_EQ(run(train + "--steps 3").code, kExitDone);
  const std::string valid = folder_.read("data/valid.tsv");
  std::string flipped = valid;
  char& label = flipped[flipped.find('\n') + 1];
  label = label == '0' ? '1' : '0';
  std::int64_t steps = 4;
  for (const std::string& other : {flipped, valid.substr(0, valid.find('\n') + 1)}) {
    const auto time = std::filesystem::last_write_time(folder_.path("data/valid.tsv"));
    folder_.write("data/valid.tsv", other);
    std::filesystem::last_write_time(folder_.path("data/valid.tsv"),
                                     time + std::chrono::seconds(1));
    const Ending resumed = run(fmt::format("{}--steps {} --resume latest", train, steps++));
    EXPECT_EQ(resumed.code, kExitDone) << resumed.error;
    EXPECT_EQ(count(resumed.out, "warning: the validation data are not those of the checkpoint"),
              1u)
        << resumed.out;
  }
}

TEST_F(JobCheckpoint, ThatWasBestStaysWhateverComesAfter) {
  // A learning rate that makes the metric jump, so that the best evaluation is not the last.
  const std::string train =
      "train job.toml --output best --set job.patience=100 --set job.epochs=1000 --set "
      "job.evaluate_every_steps=1 --set checkpoint.keep=1 --set checkpoint.every_steps=1 --set "
      "embedding.linear.optimizer={type=\\\"sgd\\\",learning_rate=300} --set "
      "data.generator.seed=5 --resume latest --steps ";
  for (const std::int64_t steps : {20, 30}) {
    const Ending trained = run(train + std::to_string(steps), mpirun(2));
    ASSERT_EQ(trained.code, kExitDone) << trained.error;
    EXPECT_EQ(count(trained.out, "resumed from best/checkpoints/step-000020"),
              steps == 30 ? 1u : 0u)
        << trained.out;
    const auto [step, auc] = best_of("best");
    ASSERT_LT(step, steps);
    EXPECT_EQ(checkpoints("best"), (std::vector<std::string>{step_name(step), step_name(steps)}));
    const Ending evaluated =
        run("evaluate job.toml --set data.generator.seed=5 --checkpoint best/checkpoints/" +
            step_name(step));
    EXPECT_EQ(evaluated.code, kExitDone) << evaluated.error;
    EXPECT_NE(evaluated.out.find(fmt::format("auc {:.4f}", auc)), std::string::npos)
        << auc << evaluated.out;
  }

  std::string no_patience = train;
  no_patience.replace(no_patience.find("patience=100"), 12, "patience=0");
  for (const std::int64_t steps : {31, 32}) {
    ASSERT_EQ(run(no_patience + std::to_string(steps)).code, kExitDone);
    const std::int64_t best = best_of("best").first;
    ASSERT_LT(best, steps);
    EXPECT_EQ(checkpoints("best"), (std::vector<std::string>{step_name(best), step_name(steps)}));
  }
  ASSERT_EQ(run(no_patience + "33 --set checkpoint.best=false").code, kExitDone);
  EXPECT_EQ(checkpoints("best"), std::vector<std::string>{step_name(33)});
}

TEST_F(JobCheckpoint, ThatIsNamedIsGoneOnFromIntoAnotherFolder) {
  const std::string train = "train job.toml --set checkpoint.at_end=true --steps ";
  ASSERT_EQ(run(train + "3 --output early", mpirun(3)).code, kExitDone);
  for (const char* name : {"early", "early/checkpoints", "early/checkpoints/step-000003/"}) {
    const std::string output = std::string("late") + std::to_string(std::string(name).size());
    const Ending resumed =
        run(fmt::format("{}5 --output {} --resume {}", train, output, name), mpirun(2));
    EXPECT_EQ(resumed.code, kExitDone) << resumed.error;
    EXPECT_EQ(count(resumed.out, "resumed from early/checkpoints/step-000003"), 1u) << resumed.out;
    EXPECT_EQ(digest_of(output), digest_of("out"));
  }
}

TEST_F(JobCheckpoint, IsShownAndVerifiedByInspectAndDigest) {
  const Ending shown = run("inspect out");
  EXPECT_EQ(shown.code, kExitDone) << shown.error;
  for (const char* part : {"out/checkpoints/step-000005\n", "\"step\": 5", "\"ranks\": 2", "\"C3\"",
                           "job.batch_size", "\nverified\n"}) {
    EXPECT_EQ(count(shown.out, part) > 0, true) << part << " in\n" << shown.out;
  }
  const Ending digest = run("digest out/checkpoints", mpirun(2));
  EXPECT_EQ(digest.code, kExitDone) << digest.error;
  EXPECT_EQ(digest.out.size(), 33u) << digest.out;
  EXPECT_EQ(digest.out.find_first_not_of("0123456789abcdef"), 32u) << digest.out;

  const std::string name = step_ + "/rank-0000-of-0002.h5";
  std::string bytes = folder_.read(name);
  bytes.back() = static_cast<char>(~bytes.back());
  folder_.write(name, bytes);
  for (const char* command : {"inspect out", "digest out"}) {
    const Ending refused = run(command);
    EXPECT_EQ(refused.code, kExitCheckpoint) << refused.out;
    EXPECT_EQ(count(refused.error, name + ": expected the digest"), 1u) << refused.error;
  }
}

TEST_F(JobCheckpoint, ThatIsNotThereIsRefusedByName) {
  const Ending resumed = run("train job.toml --output other --resume nowhere");
  EXPECT_EQ(resumed.code, kExitCheckpoint) << resumed.error;
  EXPECT_EQ(resumed.error,
            "error: nowhere: expected a checkpoint, or a folder with committed ones: found none\n");
}

TEST_F(JobCheckpoint, IsNotTrainedOverWithoutAskingForIt) {
  const Ending again = run("train job.toml --output out --steps 9", mpirun(2));
  EXPECT_EQ(again.code, kExitUsage);
  EXPECT_EQ(count(again.error,
                  "out: expected an output folder without checkpoints: found "
                  "out/checkpoints/step-000005; go on with --resume latest, or give another "
                  "--output"),
            1u)
      << again.error;
  EXPECT_EQ(newest_step("out"), 5);
}

TEST_F(JobCheckpoint, FolderOfARunningJobIsRefusedToAnother) {
  const auto job = start("train job.toml --output out --resume latest --set job.epochs=1000000", 2);
  const pid_t first_rank = job->ranks(2).at(0);
  ASSERT_TRUE(wait_until(
      [&] { return folder_.read("command.out").find("resumed from") != std::string::npos; }));
  RunningCommand second(
      folder_, mpirun(2) + " " KEYSHARD_PROGRAM " train job.toml --output out --resume latest",
      "second");
  const Ending refused = second.wait();
  EXPECT_EQ(refused.code, kExitFailure) << refused.error;
  EXPECT_NE(refused.error.find(fmt::format("out: expected a folder that no other job uses: found "
                                           "it locked by process {}",
                                           first_rank)),
            std::string::npos)
      << refused.error;
  job->signal(SIGUSR1);
  EXPECT_EQ(job->wait().code, kExitStopped);
}

TEST_F(JobCheckpoint, FolderThatIsNotTheSameForAllRanksIsRefused) {
  std::string command = KEYSHARD_MPIRUN;
  for (const char* host : {"one", "other"}) {
    std::filesystem::create_directory(folder_.path(host));
    std::filesystem::copy(folder_.path("job.toml"), folder_.path(std::string(host) + "/job.toml"));
    command +=
        fmt::format("{} -n 1 -wdir {} {} train job.toml --output out --steps 3 --resume latest",
                    host == std::string("one") ? "" : " :", folder_.path(host), KEYSHARD_PROGRAM);
  }
  const Ending refused = shell(command);
  EXPECT_EQ(refused.code, kExitFailure) << refused.out << refused.error;
  EXPECT_NE(refused.error.find("out/checkpoints: expected the same folder on all ranks: found "
                               "another than rank 0"),
            std::string::npos)
      << refused.error;
}

TEST_F(JobCheckpoint, OfTheSameStateHasOneDigestOnAnyNumberOfRanks) {
  const std::string digest = digest_of("out");
  for (const int ranks : {1, 3}) {
    const std::string output = fmt::format("out{}", ranks);
    const Ending trained = run(
        fmt::format("train job.toml --output {} --steps 5 --set checkpoint.at_end=true", output),
        mpirun(ranks));
    ASSERT_EQ(trained.code, kExitDone) << trained.error;
    EXPECT_EQ(digest_in(trained.out), digest);
    EXPECT_EQ(digest_of(output), digest) << ranks;
  }
}

}  // namespace
}  // namespace keyshard::testing
