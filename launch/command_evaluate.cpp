#include <algorithm>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>

#include "io/make_reader.hpp"
#include "launch/commands.hpp"
#include "launch/job_checkpoint.hpp"
#include "launch/process.hpp"
#include "launch/training/evaluation.hpp"
#include "launch/training/models/gemm.hpp"
#include "launch/training_run.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

Split split_of(const std::string& name) {
  return name == "train" ? Split::train : name == "valid" ? Split::valid : Split::test;
}

/// A trained model and the data of a split, opened, and the watchdog of the ranks.
struct Session {
  Stream<Cpu> stream;
  std::unique_ptr<Watchdog> watchdog;
  std::unique_ptr<DataReader> reader;
  std::unique_ptr<Trainer<Cpu>> trainer;
  std::string checkpoint;

  Session(const PredictCommand& command, const JobConfig& config, Communicator<Cpu>& communicator)
      : stream(threads_of(communicator, config)) {
    check_same_config(
        communicator, config,
        {{"--checkpoint", {command.checkpoint, ""}}, {"--split", {command.split, ""}}});
    check_same_numerics(communicator);
    watchdog = watch_ranks(communicator, config.job.watchdog_seconds);
    const Split split = split_of(command.split);
    require(config.data.format == DataFormat::generated || !config.data.files(split).empty(),
            Kind::invalid_argument, "expected files in data.{}: found none", command.split);
    checkpoint = find_checkpoint(command.checkpoint, communicator);
    reader = make_reader(config.data, split, read_plan(config, false), communicator, stream);
    if (communicator.rank() == 0 && !reader->note().empty()) {
      fmt::print(stderr, "{}\n", reader->note());
    }
    trainer = std::make_unique<Trainer<Cpu>>(trainer_options(config), reader->schema(),
                                             communicator, stream);
    load_checkpoint(checkpoint, *trainer);
  }

  /// Ends the watchdog once the common work of all ranks is done. Collective.
  void end_watch() {
    if (watchdog) {
      watchdog->end();
    }
  }
};

struct Prediction {
  std::int64_t record;
  float score;
};

/// A line per record of the split, in input order; "nan" where the record is a bad line.
void write_predictions(const std::string& path, std::int64_t records,
                       Span<const Prediction> predictions) {
  std::vector<float> scores(static_cast<std::size_t>(records), NAN);
  for (const Prediction& prediction : predictions) {
    scores[static_cast<std::size_t>(prediction.record)] = prediction.score;
  }
  std::FILE* file = std::fopen(path.c_str(), "wb");
  require(file != nullptr, Kind::io, "{}: cannot be written", path);
  bool written = true;
  for (const float score : scores) {
    const std::string line = fmt::format("{}\n", score);
    written = written && std::fwrite(line.data(), 1, line.size(), file) == line.size();
  }
  written = std::fclose(file) == 0 && written;
  require(written, Kind::io, "{}: cannot be written whole: is the disk full?", path);
}

}  // namespace

int run_evaluate(const PredictCommand& command) {
  const JobConfig config = configure(command);
  pin_gemm_code_path(config.job.numerics);
  return with_ranks([&](Communicator<Cpu>& communicator) {
    Session session(command, config, communicator);
    std::unique_ptr<UnseenIds> unseen;
    if (!config.job.unseen.empty()) {
      unseen = std::make_unique<UnseenIds>(config, *session.reader, communicator, session.stream);
    }
    const SplitMetrics metrics = evaluate_split(*session.trainer, *session.reader, unseen.get());
    session.end_watch();
    if (communicator.rank() == 0) {
      fmt::print("{} of {}: {} samples, {}\n", command.split, session.checkpoint,
                 metrics.all.samples, metrics_text(session.trainer->loss(), metrics));
    }
    return kExitDone;
  });
}

int run_predict(const PredictCommand& command) {
  const JobConfig config = configure(command);
  pin_gemm_code_path(config.job.numerics);
  return with_ranks([&](Communicator<Cpu>& communicator) {
    Session session(command, config, communicator);
    std::vector<Prediction> mine;
    evaluate_split(*session.trainer, *session.reader, nullptr,
                   [&](const Batch& batch, const std::vector<float>& logits) {
                     std::vector<float> scores(logits.size());
                     scores_of(session.trainer->loss(), logits, scores.data());
                     for (std::size_t i = 0; i < scores.size(); ++i) {
                       mine.push_back({batch.records[i], scores[i]});
                     }
                   });
    const std::vector<Prediction> all = communicator.gather_joined(Span<const Prediction>(mine));
    session.end_watch();
    if (communicator.rank() == 0) {
      write_predictions(command.out, session.reader->records(), all);
      fmt::print("{}: {} predictions of {}\n", command.out, session.reader->records(),
                 session.checkpoint);
    }
    return kExitDone;
  });
}

}  // namespace keyshard
