#include "tests/step/tiny_job.hpp"

#include <fstream>
#include <mutex>

#include <fmt/format.h>

#include "launch/job_file.hpp"
#include "launch/training/models/gemm.hpp"
#include "launch/training/training_impl.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

constexpr const char* kConfig = R"(
config_version = 1
[job]
seed = 5
epochs = 2
batch_size = 128
decay = 0.5
patience = 50
evaluate_every_steps = 4
report_every_steps = 1000
[data]
format = "generated"
window = 100
generator = { records = 1003, valid_records = 200, features = 6, ragged = 2, dense = 3, vocabulary = 40, seed = 3 }
[model]
type = "deepfm"
hidden = [16, 8]
batch_norm = true
dropout = 0.3
l2 = 0.001
optimizer = { type = "adam", learning_rate = 0.01 }
[embedding]
dim = 5
pool_order = "shard"
combiner = "mean"
initializer = { type = "normal", stddev = 0.05 }
optimizer = { type = "adam", learning_rate = 0.01 }
l2 = 0.01
[embedding.linear]
optimizer = { type = "ftrl", learning_rate = 0.05 }
l2 = 0.01
l2_per = "occurrence"
[tables.C2]
dim = 5
optimizer = { type = "rowwise_adagrad", learning_rate = 0.05 }
[tables.C6]
combiner = "max"
)";

}  // namespace

JobConfig tiny_job(const std::string& folder, const std::string& exchange, std::int64_t slices,
                   const std::vector<std::string>& more) {
  const std::string path = folder + "/tiny.toml";
  std::ofstream(path) << kConfig;
  std::vector<std::string> assignments{"job.output=" + folder + "/out",
                                       "embedding.exchange=" + exchange,
                                       fmt::format("job.slices={}", slices)};
  assignments.insert(assignments.end(), more.begin(), more.end());
  return read_job_config(path, assignments);
}

GeneratorOptions tiny_records() {
  GeneratorOptions options;
  options.records = 1003;
  options.valid_records = 200;
  options.features = 6;
  options.ragged = 2;
  options.dense = 3;
  options.vocabulary = 40;
  options.seed = 3;
  return options;
}

std::vector<std::string> text_data(const std::string& train, const std::string& valid) {
  std::string columns = R"([{name="label",index=0,role="label"})";
  for (int i = 1; i <= 3; ++i) {
    columns += fmt::format(R"(,{{name="I{0}",index={0},role="dense"}})", i);
  }
  for (int i = 1; i <= 6; ++i) {
    columns += fmt::format(R"(,{{name="C{}",index={},role="{}",type="integer"}})", i, i + 3,
                           i > 4 ? "ids" : "id");
  }
  return {
      "data.format=text",      "data.separator=\"\\t\"",         "data.columns=" + columns + "]",
      "data.block_bytes=4096", "data.train=[\"" + train + "\"]", "data.valid=[\"" + valid + "\"]"};
}

Trainer<Cpu>& trainer_of(TrainingRun& run) {
  return dynamic_cast<TrainingOn<Cpu>&>(run.training()).trainer();
}

TinyResult train_tiny(const JobConfig& config, Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                      bool save, const std::string& from, const Device& device) {
  Reporter reporter(communicator.rank(), ProgressStyle::off, "");
  std::unique_ptr<JobCheckpoints> checkpoints;
  if (save) {
    checkpoints = std::make_unique<JobCheckpoints>(config, communicator, stream);
  }
  TrainingRun run(config, communicator, stream, reporter, checkpoints.get(), StartingPoint{from},
                  device);
  run.run();
  return {run.training().digest().hex(), run.losses()};
}

TinyResult train_on_threads(const JobConfig& config, int ranks, int threads, bool save,
                            const std::string& from, const Device& device) {
  std::mutex mutex;
  std::vector<TinyResult> results;
  run_ranks(ranks, threads, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TinyResult result = train_tiny(config, communicator, stream, save, from, device);
    const std::lock_guard lock(mutex);
    results.push_back(std::move(result));
  });
  for (const TinyResult& result : results) {
    require(result == results.front(), Kind::invalid_argument,
            "expected one digest on all ranks: found {} and {}", results.front().digest,
            result.digest);
  }
  return results.front();
}

bool pin_interruptible_products() {
  try {
    pin_gemm_code_path("avx2");
  } catch (const Error&) {  // a processor without AVX2 has no AVX-512
  }
  return true;
}

}  // namespace keyshard::testing
