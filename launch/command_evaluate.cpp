#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <sstream>
#include <utility>

#include "collectives/texts.hpp"
#include "collectives/vote.hpp"
#include "io/make_reader.hpp"
#include "launch/commands.hpp"
#include "launch/job_checkpoint.hpp"
#include "launch/job_file.hpp"
#include "launch/make_training.hpp"
#include "launch/metrics_text.hpp"
#include "launch/output_file.hpp"
#include "launch/process.hpp"
#include "launch/training/models/gemm.hpp"
#include "launch/training_run.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

Split split_of(const std::string& name) {
  return name == "train" ? Split::train : name == "valid" ? Split::valid : Split::test;
}

/// The split that a command scores: without --split that of the files it gives, or else valid.
/// Files of data.train beside others tell what is unseen. Throws Error{invalid_argument} where the
/// files leave the split open, or would have no effect.
std::string scored_split(const PredictCommand& command) {
  const bool train = !command.train.empty(), valid = !command.valid.empty(),
             test = !command.test.empty();
  const std::string given = test ? "test" : valid ? "valid" : train ? "train" : "";
  if (command.split.empty()) {
    require(!valid || !test, Kind::invalid_argument,
            "--split: expected valid or test beside both --data.valid and --data.test: found none");
    return given.empty() ? "valid" : given;
  }
  for (const auto& [split, has_files] : {std::pair("test", test), {"valid", valid}}) {
    require(!has_files || command.split == split, Kind::invalid_argument,
            "--data.{}: expected --split {}, which scores these files: found --split {}", split,
            split, command.split);
  }
  return command.split;
}

/// The assignments of a command with its files: those of --data.SPLIT are taken from where the
/// command runs, and all of their records.
std::vector<std::string> assignments_of(const PredictCommand& command) {
  std::vector<std::string> all = command.assignments;
  for (const auto& [key, given] : {std::pair("data.train", &command.train),
                                   {"data.valid", &command.valid},
                                   {"data.test", &command.test}}) {
    std::vector<std::string> files;
    for (const std::string& file : *given) {
      files.push_back(file == "-" ? file : std::filesystem::absolute(file).string());
    }
    if (!files.empty()) {
      all.push_back(fmt::format("{}={}", key, json_text(value_of(files))));
      all.insert(all.end(), {"data.split.valid=0", "data.split.test=0"});
    }
  }
  return all;
}

/// The configuration that a command names, read before its ranks meet, and once: it may come from
/// a pipe. Nothing where it names none.
struct GivenConfig {
  std::optional<JobConfig> config;
  double start_seconds;

  explicit GivenConfig(const PredictCommand& command) {
    if (!command.config.empty()) {
      config = read_job_config(command.config, assignments_of(command));
    }
    start_seconds = config ? config->job.start_seconds : start_seconds_of(command);
  }
};

/// The configuration of a command for a checkpoint: the given one, or else the checkpoint's own.
/// Throws Error{corrupt_data} where it is not that of the checkpoint in what shapes keys, values
/// and scores.
JobConfig scoring_config(const PredictCommand& command, const GivenConfig& given,
                         const std::string& checkpoint) {
  const std::string name = checkpoint + "/" + kManifestName;
  const Manifest manifest = manifest_of(checkpoint);
  JobConfig config =
      given.config ? *given.config : config_of(manifest, name, assignments_of(command));
  require_same_shape(manifest, checkpoint, config, CheckpointUse::score);
  apply_options(command, config);
  return config;
}

/// The checkpoint that a command names, and its configuration.
struct Scored {
  std::string checkpoint;
  JobConfig config;

  Scored(const PredictCommand& command, const GivenConfig& given, Communicator<Cpu>& communicator) {
    const std::string output =
        !command.output.empty() || !given.config ? command.output : given.config->job.output;
    checkpoint = find_checkpoint(command.checkpoint, communicator, output);
    vote(communicator, [&] { config = scoring_config(command, given, checkpoint); });
    check_same_config(
        communicator, config,
        {{"--checkpoint", {command.checkpoint, ""}}, {"--split", {command.split, ""}}});
    pin_gemm_code_path(config.job.numerics);
    check_same_numerics(communicator);
  }
};

/// A trained model and the data of a split, opened, and the watchdog of the ranks.
struct Session {
  Stream<Cpu> stream;
  std::unique_ptr<Watchdog> watchdog;
  std::unique_ptr<DataReader> reader;
  std::unique_ptr<Training> training;

  Session(const PredictCommand& command, const Scored& scored, Communicator<Cpu>& communicator,
          StartWatch& start)
      : stream(threads_of(communicator, scored.config)) {
    const JobConfig& config = scored.config;
    watchdog = watch_ranks(communicator, config.job.watchdog_seconds, start);
    const Split split = split_of(command.split);
    require(config.data.format == DataFormat::generated || !config.data.files(split).empty(),
            Kind::invalid_argument, "expected files in data.{}: found none", command.split);
    reader = make_reader(config.data, split, read_plan(config, false), communicator, stream);
    if (communicator.rank() == 0 && !reader->note().empty()) {
      fmt::print(stderr, "{}\n", reader->note());
    }
    TrainerOptions options = trainer_options(config);
    for (TableOptions& table : options.embedding.tables) {
      table.kv_creator = HostRows{};  // the store of the job keeps its rows
    }
    options.embedding.devices.clear();  // any number of ranks scores, and all of them own rows
    training = make_training(choose_device(command, communicator), options, reader->schema(),
                             communicator, stream);
    training->load(scored.checkpoint);
  }

  /// Ends the watchdog once the common work of all ranks is done. Collective.
  void end_watch() {
    if (watchdog) {
      watchdog->end();
    }
  }
};

/// The predictions of one rank: a record each, and where --keep names columns their cells.
struct ScoredRecords {
  std::vector<std::int64_t> records;
  std::vector<float> scores;
  std::string kept;  ///< a line per record: the cells in front of the score, each with a separator
};

/// Scores the split. Collective.
ScoredRecords predict_split(const PredictCommand& command, const DataOptions& data,
                            Session& session) {
  ScoredRecords mine;
  const auto kept = static_cast<std::size_t>(data.keep.size());
  const auto each = [&](const Batch& batch, const std::vector<float>& logits) {
    const std::size_t first = mine.scores.size();
    mine.scores.resize(first + logits.size());
    scores_of(session.training->loss(), logits, mine.scores.data() + first);
    mine.records.insert(mine.records.end(), batch.records.begin(), batch.records.end());
    for (std::size_t i = 0; i < logits.size() && kept > 0; ++i) {
      for (std::size_t k = 0; k < kept; ++k) {
        mine.kept += batch.kept[i * kept + k] + data.separator;
      }
      mine.kept += '\n';
    }
  };
  session.training->evaluate(*session.reader, {}, each);
  if (!command.clip.empty()) {
    for (float& score : mine.scores) {
      score = std::clamp(score, static_cast<float>(command.clip[0]),
                         static_cast<float>(command.clip[1]));
    }
  }
  return mine;
}

/// A line per record of the split, in input order: kept cells and score; "nan" alone where the
/// record is a bad line. Collective; the text is that of rank 0.
std::string prediction_lines(std::int64_t records, const ScoredRecords& mine,
                             Communicator<Cpu>& communicator) {
  std::vector<std::string> lines(static_cast<std::size_t>(records), "nan\n");
  const std::vector<std::int64_t> places =
      communicator.gather_joined(Span<const std::int64_t>(mine.records));
  const std::vector<float> scores = communicator.gather_joined(Span<const float>(mine.scores));
  std::istringstream kept(joined(gather_texts(communicator, mine.kept), ""));
  for (std::size_t i = 0; i < places.size(); ++i) {
    std::string cells;
    std::getline(kept, cells);
    lines[static_cast<std::size_t>(places[i])] = fmt::format("{}{}\n", cells, scores[i]);
  }
  return joined(lines, "");
}

/// Refuses options of `predict` that the job cannot follow.
void check_predict(const PredictCommand& command, const JobConfig& config) {
  require(command.keep.empty() || config.data.format == DataFormat::text, Kind::invalid_argument,
          "--keep: expected text data, which has the cells of a record: found format \"{}\"",
          config.data.format == DataFormat::packed ? "packed" : "generated");
  require(command.clip.empty() || config.model.loss == Loss::squared_error, Kind::invalid_argument,
          "--clip: expected model.loss = \"squared_error\": found \"log_loss\", whose scores lie "
          "between 0 and 1");
  require(command.clip.empty() || command.clip[0] <= command.clip[1], Kind::invalid_argument,
          "--clip: expected the least score first: found {},{}", command.clip.front(),
          command.clip.back());
}

/// Rank 0 opens the file for all ranks. Collective.
std::unique_ptr<OutputFile> open_output(const PredictCommand& command, const JobConfig& config,
                                        Communicator<Cpu>& communicator) {
  std::unique_ptr<OutputFile> file;
  vote(communicator, [&] {
    if (communicator.rank() == 0) {
      file = std::make_unique<OutputFile>(command.out, config.data.files(split_of(command.split)));
    }
  });
  return file;
}

}  // namespace

int run_evaluate(const PredictCommand& wanted) {
  PredictCommand command = wanted;
  command.split = scored_split(wanted);
  const GivenConfig given(command);
  return with_ranks(given.start_seconds, [&](Communicator<Cpu>& communicator, StartWatch& start) {
    Scored scored(command, given, communicator);
    scored.config.data = with_names_of_values(scored.config.data, scored.config.job.metrics);
    Session session(command, scored, communicator, start);
    std::unique_ptr<UnseenIds> unseen;
    if (!scored.config.job.unseen.empty()) {
      unseen =
          std::make_unique<UnseenIds>(scored.config, *session.reader, communicator, session.stream);
    }
    const SplitMetrics metrics =
        session.training->evaluate(*session.reader, {unseen.get(), scored.config.job.metrics});
    session.end_watch();
    if (communicator.rank() == 0) {
      fmt::print("{} of {}: {} samples, {}\n", command.split, scored.checkpoint,
                 metrics.all.samples, metrics_text(session.training->loss(), metrics));
      for (const std::string& line : value_lines(session.training->loss(), metrics)) {
        fmt::print("{}\n", line);
      }
    }
    return kExitDone;
  });
}

int run_predict(const PredictCommand& wanted) {
  PredictCommand command = wanted;
  command.split = scored_split(wanted);
  const GivenConfig given(command);
  return with_ranks(given.start_seconds, [&](Communicator<Cpu>& communicator, StartWatch& start) {
    Scored scored(command, given, communicator);
    check_predict(command, scored.config);
    scored.config.data.needs_labels = false;
    scored.config.data.keep = command.keep;
    const std::unique_ptr<OutputFile> out = open_output(command, scored.config, communicator);
    Session session(command, scored, communicator, start);
    const ScoredRecords mine = predict_split(command, scored.config.data, session);
    const std::string lines = prediction_lines(session.reader->records(), mine, communicator);
    session.end_watch();
    vote(communicator, [&] {
      if (out) {
        out->finish(lines);
        fmt::print(out->is_standard_output() ? stderr : stdout, "{}: {} predictions of {}\n",
                   command.out, session.reader->records(), scored.checkpoint);
      }
    });
    return kExitDone;
  });
}

}  // namespace keyshard
