// Whole jobs, reading text included: examples a second over batch sizes and threads, for the
// quickstart's shape and for the configuration that --job names; beside the reader alone. And what
// it costs to open a parallel region, from which docs/scale.md tells what more threads give.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "collectives/vote.hpp"
#include "io/generated_reader.hpp"
#include "io/make_reader.hpp"
#include "io/prefetch_reader.hpp"
#include "launch/bench/measures.hpp"
#include "launch/click_log.hpp"
#include "launch/job_file.hpp"
#include "launch/training/trainer.hpp"

namespace keyshard {
namespace {

constexpr int kReadAhead = 2;

/// DeepFM as launch/examples/quickstart.toml trains it.
constexpr const char* kQuickstart = R"(config_version = 1
[job]
output = "out"
[data]
format = "text"
train = ["train.tsv"]
separator = "\t"
[model]
type = "deepfm"
hidden = [64, 32]
[embedding]
dim = 8
initializer = { type = "normal", stddev = 0.02 }
optimizer = { type = "adagrad", learning_rate = 0.1 }
[embedding.linear]
optimizer = { type = "adagrad", learning_rate = 0.1 }
)";

/// Writes the text and the configuration of the quickstart's shape; returns the path of the latter.
std::string write_quickstart(const std::filesystem::path& folder, bool quick) {
  GeneratorOptions options;
  options.records = quick ? 4'000 : 60'000;
  options.valid_records = 1;
  std::filesystem::create_directories(folder);
  write_generated_text(options, Split::train, (folder / "train.tsv").string());
  const std::string path = (folder / "job.toml").string();
  std::ofstream(path) << kQuickstart << click_log_columns(options);
  return path;
}

std::unique_ptr<DataReader> reader_of(const JobConfig& config, Communicator<Cpu>& communicator,
                                      Stream<Cpu>& stream) {
  return make_reader(config.data, Split::train, read_plan(config, true), communicator, stream);
}

/// A training with threads of its own, one epoch at a call.
class WholeJob {
 public:
  WholeJob(const JobConfig& config, Communicator<Cpu>& communicator, int threads)
      : stream_(threads),
        reader_(read_ahead(reader_of(config, communicator, stream_), kReadAhead)),
        trainer_(trainer_options(config), reader_->schema(), communicator, stream_) {}

  void train_epoch() {
    Batch batch;
    trainer_.clock().reset();
    steps_ = 0;
    while (reader_->next(batch)) {
      trainer_.clock().stop(StepPart::read);
      trainer_.step(batch, 1);
      ++steps_;
    }
  }

  std::int64_t records() const { return reader_->records(); }

  /// Of a step of the last epoch.
  double regions() const {
    std::int64_t launches = 0;
    for (std::size_t part = 0; part < kStepParts.size(); ++part) {
      launches += trainer_.clock().launches(static_cast<StepPart>(part));
    }
    return static_cast<double>(launches) / static_cast<double>(std::max<std::int64_t>(1, steps_));
  }

  /// Microseconds of a step of the last epoch, without those in which it waits for the reader.
  double step_us() const {
    const StepClock& clock = trainer_.clock();
    return 1e6 * (clock.total() - clock.seconds(StepPart::read)) /
           static_cast<double>(std::max<std::int64_t>(1, steps_));
  }

 private:
  Stream<Cpu> stream_;
  std::unique_ptr<AheadReader> reader_;
  mutable Trainer<Cpu> trainer_;
  std::int64_t steps_ = 0;
};

/// Reads an epoch and does nothing with it.
void read_epoch(DataReader& reader) {
  Batch batch;
  while (reader.next(batch)) {
  }
}

double median_of(std::vector<double> values) { return spread_of(std::move(values)).median; }

void race_batch(BenchContext& context, const std::string& name, const JobConfig& config) {
  Communicator<Cpu>& communicator = context.communicator();
  WholeJob one(config, communicator, 1), two(config, communicator, 2);
  const std::unique_ptr<DataReader> reader = reader_of(config, communicator, context.stream());
  one.train_epoch();  // makes the rows
  two.train_epoch();
  read_epoch(*reader);
  std::vector<double> ones, twos, reads;
  for (std::int64_t round = 0; round < context.command().rounds; ++round) {
    ones.push_back(context.seconds_of([&] { one.train_epoch(); }));
    twos.push_back(context.seconds_of([&] { two.train_epoch(); }));
    reads.push_back(context.seconds_of([&] { read_epoch(*reader); }));
  }
  const auto rate = [&](const std::vector<double>& seconds) {
    return 1e-3 * static_cast<double>(one.records()) / median_of(seconds);
  };
  context.report().say(fmt::format(
      "{:16} batch {:6}, {} ranks: {:6.0f} k examples/s on 1 thread, {:6.0f} on 2 ({:.2f} x); "
      "reader alone {:6.0f}; {:.0f} regions a step, {:.1f} us of one thread each",
      name, config.job.batch_size, communicator.size(), rate(ones), rate(twos),
      median_of(ones) / median_of(twos), rate(reads), one.regions(),
      one.step_us() / std::max(1.0, one.regions())));
}

void measure_jobs(BenchContext& context, const std::string& name, const std::string& path) {
  for (const std::int64_t batch : {128, 512, 4096, 16384}) {
    JobConfig config = read_job_config(path, {fmt::format("job.batch_size={}", batch)});
    config.data.index_folder.clear();
    race_batch(context, name, config);
  }
}

/// About ten microseconds of work that needs nothing but a core.
void work_a_little() {
  volatile std::uint64_t state = 1;
  for (int i = 0; i < 8'000; ++i) {
    state = state * 6364136223846793005u + 1;
  }
}

/// Microseconds of a region of `shares` such pieces of work, one after another.
double region_us(BenchContext& context, int shares) {
  constexpr int kRegions = 50;
  ThreadPool pool(shares);
  std::vector<double> times;
  for (int batch = 0; batch < (context.command().quick ? 3 : 31); ++batch) {
    times.push_back(1e6 / kRegions * context.seconds_of([&] {
      for (int region = 0; region < kRegions; ++region) {
        pool.run([](int) { work_a_little(); });
      }
    }));
  }
  return median_of(std::move(times));
}

/// What a region takes beyond the work of its shares, each as long as that of one thread alone.
void say_opening_costs(BenchContext& context) {
  const int cores = default_threads(1).affinity;
  const double alone = region_us(context, 1);
  for (const int threads : {1, 2, 4, 8, 16}) {
    const int rounds = (threads + cores - 1) / cores;  // of work, where threads share cores
    context.report().say(
        fmt::format("opening a region, {:2} threads: {:7.2f} us beside {:.1f} us of work a share{}",
                    threads, region_us(context, threads) - alone * rounds, alone,
                    rounds > 1 ? fmt::format("; oversubscribed, on {} cores", cores) : ""));
  }
}

}  // namespace

void measure_job(BenchContext& context) {
  say_opening_costs(context);
  Communicator<Cpu>& communicator = context.communicator();
  const std::filesystem::path folder =
      std::filesystem::path(context.command().scratch) / "keyshard-bench-job";
  vote(communicator, [&] {
    if (communicator.rank() == 0) {
      write_quickstart(folder, context.command().quick);
    }
  });
  measure_jobs(context, "quickstart", (folder / "job.toml").string());
  communicator.barrier();
  if (communicator.rank() == 0) {
    std::filesystem::remove_all(folder);
  }
  if (context.command().job.empty()) {
    context.report().say("job of a configuration: skipped, for --job names none");
    return;
  }
  measure_jobs(context, "--job", context.command().job);
}

}  // namespace keyshard
