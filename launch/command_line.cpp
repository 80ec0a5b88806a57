#include "launch/command_line.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "launch/bench/device_measures.hpp"
#include "launch/bench/measures.hpp"
#include "launch/commands.hpp"
#include "launch/process.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/json.hpp"
#include "runtime/settings.hpp"

namespace keyshard {
namespace {

void add_job_options(CLI::App& app, JobCommand& command) {
  static const std::map<std::string, ProgressStyle> styles{{"auto", ProgressStyle::automatic},
                                                           {"line", ProgressStyle::line},
                                                           {"off", ProgressStyle::off}};
  app.add_option("CONFIG", command.config, "configuration file (TOML)");
  app.add_option("--output", command.output,
                 "folder of metrics and checkpoints, instead of job.output");
  app.add_option("--threads", command.threads, "threads of a rank; 0: as many as it has cores")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--set", command.assignments,
                 "KEY=VALUE: overrides a key of the configuration, such as model.dropout=0.1")
      ->allow_extra_args(false);
  app.add_option_function<std::string>(
         "--data.folder",
         [&command](const std::string& folder) {
           const std::string whole = std::filesystem::absolute(folder).string();
           command.assignments.push_back("data.folder=" + json_text(value_of(whole)));
         },
         "folder of the data files, instead of data.folder")
      ->type_name("TEXT");
  app.add_option("--progress", command.progress,
                 "auto, line or off; auto: plain lines under mpirun")
      ->transform(CLI::CheckedTransformer(styles, CLI::ignore_case))
      ->option_text("TEXT:{auto,line,off}");
  app.add_option("--device", command.device, "cpu, cuda or auto")
      ->check(CLI::IsMember({"cpu", "cuda", "auto"}));
  app.add_flag("--share-device", command.share_device,
               "more ranks than GPUs: ranks share one, and exchange through host memory");
}

void add_predict_options(CLI::App& app, PredictCommand& command) {
  add_job_options(app, command);
  app.get_option("CONFIG")->description(
      "configuration file (TOML); left out: that of the checkpoint");
  app.add_option("--checkpoint", command.checkpoint,
                 "folder of a checkpoint, or of a job: its newest one; JOB/best, JOB/latest or "
                 "JOB/STEP; best, latest or STEP alone: of the job of CONFIG or --output")
      ->required();
  for (const auto& [name, files] : {std::pair("--data.train", &command.train),
                                    {"--data.valid", &command.valid},
                                    {"--data.test", &command.test}}) {
    app.add_option(name, *files, "files in place of the configured ones");
  }
  app.add_option("--split", command.split,
                 "train, valid or test; left out: that of --data.test or --data.valid, or of "
                 "--data.train alone, else valid")
      ->check(CLI::IsMember({"train", "valid", "test"}));
}

std::string measures_help() {
  std::string help = "all by default, or";
  for (const NamedMeasure& measure : all_measures()) {
    help += fmt::format("\n{}: {}", measure.name, measure.what);
  }
  help += "\non a GPU:";
  for (const DeviceMeasure<Cpu>& measure : device_measures<Cpu>()) {
    help += fmt::format("\n{}: {}", measure.name, measure.what);
  }
  return help;
}

/// All commands with their options; `run` runs the command that was chosen.
struct Commands {
  CLI::App app{"Trains models with embeddings over an open key space, on any number of ranks."};
  TrainCommand train;
  PredictCommand evaluate, predict;
  ConvertCommand convert;
  InitCommand init;
  ConfigCommand config;
  GenerateCommand generate;
  CheckpointCommand inspect, digest;
  ReportCommand report;
  BenchCommand bench;
  std::function<int()> run;

  CLI::App* add(const char* name, const char* what, std::function<int()> body) {
    CLI::App* command = app.add_subcommand(name, what);
    command->callback([this, body] { run = body; });
    return command;
  }

  Commands() {
    app.require_subcommand(1);
    app.set_version_flag("--version", "keyshard " KEYSHARD_VERSION);
    add_job_commands();
    add_scoring_commands();
    add_init();
    add_data_commands();
    add_checkpoint_commands();
    add_report();
    add_bench();
  }

  /// Refuses a word that is no command and names the nearest command: CLI11 would only say that a
  /// command is missing.
  void check_name(const std::string& word) const {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands({})) {
      names.push_back(command->get_name());
    }
    const bool known =
        word.starts_with("-") || std::find(names.begin(), names.end(), word) != names.end();
    const std::string near = nearest_word(word, names);
    require(known, Kind::invalid_argument, "expected a command, one of {}: found \"{}\"{}",
            joined(names, ", "), word,
            near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
  }

  void add_job_commands() {
    CLI::App* c =
        add("train", "trains a model; the same under mpirun", [this] { return run_train(train); });
    add_job_options(*c, train);
    c->get_option("CONFIG")->required();
    c->add_option("--steps", train.steps, "stops after this many steps in all")
        ->check(CLI::PositiveNumber);
    c->add_option(
        "--resume", train.resume,
        "latest: from the newest checkpoint of the output folder; DIR: from that one; none");
    c->add_option(
         "--start-from", train.start_from,
         "DIR: a new training from the rows, weights and optimizers of that checkpoint, with "
         "data of its own")
        ->excludes("--resume");
    c->add_flag("--overwrite", train.overwrite,
                "removes the checkpoints and reports that the output folder holds, once data and "
                "model are there")
        ->excludes("--resume");
    c->add_flag("--report", train.report,
                "writes a page with the curves of the run, report.html in the output folder, at "
                "the end");
    c->add_option(
        "--trace-digests", train.trace_digests,
        "FILE: a digest of every tensor of every step; written where FILE is absent, else "
        "compared with it: the first step, stage and tensor that differ are named");
  }

  void add_scoring_commands() {
    CLI::App* c = add("evaluate", "computes the metrics of a checkpoint",
                      [this] { return run_evaluate(evaluate); });
    add_predict_options(*c, evaluate);
    c = add("predict", "writes a prediction per record, in input order",
            [this] { return run_predict(predict); });
    add_predict_options(*c, predict);
    c->add_option("--out", predict.out, "file to write; -: standard output")->required();
    c->add_option("--keep", predict.keep,
                  "COLUMN,...: columns of the input that stand in front of each score")
        ->delimiter(',');
    c->add_option("--clip", predict.clip,
                  "LEAST,MOST: limits of the scores, as 1,5 for ratings; with squared error")
        ->delimiter(',')
        ->expected(2);
  }

  void add_init() {
    CLI::App* c = add("init", "looks at text files and writes a configuration that trains on them",
                      [this] { return run_init(init); });
    c->add_option("FILE", init.files,
                  "text, plain or compressed; names with valid or test are those data")
        ->required();
    c->add_option("--valid", init.valid, "files of validation data");
    c->add_option("--test", init.test, "files of test data");
    c->add_option("--label", init.label, "the column to predict");
    c->add_option("--out", init.out, "the configuration to write");
    c->add_flag("--overwrite", init.overwrite, "replaces the configuration");
    c = add("config", "shows what keys mean, or a configuration with all defaults",
            [this] { return run_config(config); });
    c->add_option(
        "WHAT", config.what,
        "a key (job.seed, seed), a table (job) or a configuration file; left out: all keys, "
        "as Markdown");
    c->add_option("--set", config.assignments, "KEY=VALUE: overrides a key of the file")
        ->allow_extra_args(false);
  }

  void add_data_commands() {
    CLI::App* c =
        add("convert", "packs text data into HDF5", [this] { return run_convert(convert); });
    add_job_options(*c, convert);
    c->get_option("CONFIG")->required();
    c->add_option("OUT", convert.out, "folder to write")->required();
    c = add("generate",
            "writes a click log with a planted model, and a configuration to train on it",
            [this] { return run_generate(generate); });
    c->add_option("FOLDER", generate.folder, "folder to write")->required();
    c->add_option("--records", generate.records, "of the training data")
        ->check(CLI::PositiveNumber);
    c->add_option("--valid-records", generate.valid_records, "of the validation data")
        ->check(CLI::PositiveNumber);
    c->add_option("--features", generate.features, "columns of ids")->check(CLI::PositiveNumber);
    c->add_option("--ragged", generate.ragged, "of them with a list of ids")
        ->check(CLI::NonNegativeNumber);
    c->add_option("--dense", generate.dense, "columns of numbers")->check(CLI::NonNegativeNumber);
    c->add_option("--vocabulary", generate.vocabulary, "ids of a column")
        ->check(CLI::PositiveNumber);
    c->add_option("--zipf", generate.zipf, "exponent of their frequencies")
        ->check(CLI::NonNegativeNumber);
    c->add_option("--seed", generate.seed, "another seed is another log");
  }

  void add_checkpoint_commands() {
    CLI::App* c = add("inspect", "shows what a checkpoint holds and verifies it",
                      [this] { return run_inspect(inspect); });
    c->add_option("DIR", inspect.folder, "folder of a checkpoint, or of a job: its newest one")
        ->required();
    c = add("digest", "verifies the newest checkpoint and prints its state digest",
            [this] { return run_digest(digest); });
    c->add_option("DIR", digest.folder, "folder of a checkpoint, or of a job: its newest one")
        ->required();
  }

  void add_report() {
    CLI::App* c = add("report", "writes a page with the curves of a training",
                      [this] { return run_report(report); });
    c->add_option("DIR", report.folder, "folder of a job: what job.output names")->required();
    c->add_option("--out", report.out,
                  "the page to write, HTML; by default report.html in DIR; -: standard output");
  }

  void add_bench() {
    CLI::App* c = add("bench", "measures the parts of a step beside their limits",
                      [this] { return run_bench(bench); });
    c->add_option("MEASURES", bench.measures, measures_help());
    c->add_option("--device", bench.where.device, "cpu, cuda or auto")
        ->check(CLI::IsMember({"cpu", "cuda", "auto"}));
    c->add_option("--large-rows", bench.sizes.large_rows,
                  "rows of the large table of a GPU: fewer where its memory is short")
        ->check(CLI::PositiveNumber);
    c->add_flag("--quick", bench.quick, "small sizes, a few seconds");
    c->add_option("--json", bench.json, "file to which a line per measurement is appended");
    c->add_option("--data", bench.data,
                  "folder with the workloads W1, W2, W3 as raw files; made in memory by default");
    c->add_option("--scratch", bench.scratch, "folder for checkpoints, about 3 GB, and stores");
    c->add_option("--job", bench.job, "configuration that the measure `job` trains, too");
    c->add_option("--redis", bench.redis,
                  "HOST:PORT or the path of a socket of a Redis server that `store` measures");
    c->add_option("--threads", bench.threads, "threads of a rank; 0: as many as it has cores")
        ->check(CLI::NonNegativeNumber);
    c->add_option("--dim", bench.dims, "numbers of a row on a CPU: 16, 64 or both")
        ->check(CLI::IsMember({16, 64}));
    c->add_option("--rounds", bench.rounds, "turns of every contender")->check(CLI::PositiveNumber);
    c->add_option("--steps", bench.steps, "timed steps of a round")->check(CLI::PositiveNumber);
    c->add_option("--warmup", bench.warmup, "steps before them")->check(CLI::NonNegativeNumber);
  }
};

}  // namespace

int run_command_line(int argc, char** argv) {
  Commands commands;
  if (argc > 1) {
    commands.check_name(argv[1]);
  }
  try {
    commands.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, problem;
    const int code = commands.app.exit(error, out, problem);
    if (launched_rank() == 0) {
      fmt::print("{}", out.str());
      fmt::print(stderr, "{}", problem.str());
    }
    return code == 0 ? kExitDone : kExitUsage;
  }
  return commands.run();
}

}  // namespace keyshard
