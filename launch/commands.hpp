// The commands of the program: one struct per command, which the command line fills in, and the
// function that runs the command. Each function returns the exit code of the process; errors are
// thrown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/reporter.hpp"

namespace keyshard {

// Exit codes.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitCheckpoint = 3;
inline constexpr int kExitWatchdog = 70;
inline constexpr int kExitStopped = 75;

/// Which device a command wants.
struct DeviceChoice {
  std::string device = "auto";  ///< "cpu", "cuda" or "auto"
  bool share_device = false;    ///< ranks of a machine may share a GPU
};

/// What train, evaluate and predict share.
struct JobCommand : DeviceChoice {
  std::string config;                    ///< evaluate, predict: empty: that of the checkpoint
  std::vector<std::string> assignments;  ///< --set key=value
  std::string output;                    ///< --output: instead of job.output
  std::int64_t threads = -1;             ///< --threads: instead of job.threads; -1: not given
  ProgressStyle progress = ProgressStyle::automatic;
};

struct TrainCommand : JobCommand {
  std::int64_t steps = -1;  ///< --steps: the total
  std::string resume = "none";
  std::string
      start_from;  ///< a checkpoint whose rows, weights and optimizers are taken; empty: none
  bool overwrite = false;     ///< removes the checkpoints and reports of the output folder
  bool report = false;        ///< writes OUTPUT/report.html at the end
  std::string trace_digests;  ///< file of a StepTrace; empty: no trace
};

struct PredictCommand : JobCommand {
  std::string checkpoint;
  std::string split;  ///< to score; empty: that of the files given below, or else valid
  /// --data.train, --data.valid, --data.test: files instead of the configured ones.
  std::vector<std::string> train, valid, test;
  std::string out;                ///< predict: a line per record; "-": standard output
  std::vector<std::string> keep;  ///< predict: columns of the input beside the score
  std::vector<double> clip;       ///< predict: least and greatest score; empty: as they are
};

struct ConvertCommand : JobCommand {
  std::string out;
};

struct InitCommand {
  std::vector<std::string> files;
  std::vector<std::string> valid, test;  ///< files of these splits, whatever their names
  std::string label;                     ///< the column of the label; empty: guessed
  std::string out = "keyshard.toml";
  bool overwrite = false;
};

struct ConfigCommand {
  std::string what;                      ///< a key, a table or a file; empty: all keys, as Markdown
  std::vector<std::string> assignments;  ///< --set key=value, on top of a file
};

struct GenerateCommand {
  std::string folder;
  std::int64_t records = 300'000;
  std::int64_t valid_records = 60'000;
  std::int64_t features = 26;
  std::int64_t ragged = 0;
  std::int64_t dense = 13;
  std::int64_t vocabulary = 500;
  double zipf = 1.05;
  std::int64_t seed = 1;
};

struct CheckpointCommand {
  std::string folder;
};

struct ReportCommand {
  std::string folder;  ///< of a job
  std::string out;     ///< the page; "-": standard output; empty: report.html in the folder
};

/// The sizes of the measures of any device.
struct DeviceSizes {
  std::vector<std::int64_t> dims{8, 32, 64, 128};  ///< of the rows of one table
  std::int64_t call = 1 << 20;                     ///< keys of a call on one table
  std::int64_t capacity = 1 << 24;                 ///< rows that this table has room for
  std::int64_t large_rows = 128 << 20;             ///< of the large table
  std::int64_t tables = 10;                        ///< of a step
  std::int64_t rows_of_table = 2'400'000;
  std::int64_t samples = 104'857;   ///< of a step, with an id of each table
  std::int64_t small_samples = 32;  ///< of a small step
  std::int64_t step_dim = 128;      ///< of the rows of these tables
  std::int64_t batches = 8;         ///< that steps take in turn
};

struct BenchCommand {
  DeviceChoice where{.device = "cpu"};
  std::vector<std::string> measures;  ///< by name; empty: all of the device
  bool quick = false;                 ///< one round of few steps on small workloads
  std::string json;                   ///< file to which a line per measurement is appended
  std::string data;                   ///< folder of the workloads' files; empty: made in memory
  std::string scratch = ".";          ///< folder for checkpoints and stores
  std::string job;                    ///< configuration that `job` trains, too; empty: none
  std::string redis;  ///< HOST:PORT or the path of a socket of a server for `store`; empty: none
  std::int64_t threads = 0;  ///< of a rank; 0: as many as it has cores
  std::vector<std::int64_t> dims{16};
  std::int64_t rounds = 3;
  std::int64_t steps = 60;   ///< timed steps of a round: the last steps of a workload
  std::int64_t warmup = 10;  ///< steps before the timed steps, in every round
  DeviceSizes sizes;
};

int run_train(const TrainCommand& command);
int run_evaluate(const PredictCommand& command);
int run_predict(const PredictCommand& command);
int run_convert(const ConvertCommand& command);
int run_init(const InitCommand& command);
int run_config(const ConfigCommand& command);
int run_generate(const GenerateCommand& command);
int run_inspect(const CheckpointCommand& command);
int run_digest(const CheckpointCommand& command);
int run_report(const ReportCommand& command);
int run_bench(const BenchCommand& command);

}  // namespace keyshard
