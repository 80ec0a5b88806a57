// The memory of a row, also while a table grows, and the speed of a checkpoint of ten million rows
// beside the disk and memcpy.
#include <cstring>
#include <filesystem>
#include <numeric>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "io/checkpoint_folder.hpp"
#include "launch/bench/machine.hpp"
#include "launch/bench/measures.hpp"
#include "launch/bench/sparse_step.hpp"
#include "launch/job_checkpoint.hpp"
#include "launch/training/training_impl.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kDim = 16;  // of all measures of this file
constexpr double kRowBytes =
    2.0 * kDim * sizeof(float);  // values and state, as in other benchmarks

/// Gives a table `rows` rows, `step` keys at a time.
void grow_rows(BenchContext& context, Table<Cpu>& table, std::int64_t rows, std::int64_t step) {
  std::vector<Key> keys;
  for (std::int64_t first = 0; first < rows; first += step) {
    keys.clear();
    for (std::int64_t i = first; i < std::min(rows, first + step); ++i) {
      keys.push_back(mix64(static_cast<std::uint64_t>(i) + (std::uint64_t{1} << 40)));
    }
    fill_rows<Cpu>(context.stream(), table, keys);
  }
}

TableOptions item_table() {
  TableOptions options;
  options.name = "item";
  options.groups = {{"factor", kDim, Constant{}, {}, bench_adagrad(), {}}};
  return options;
}

void rows_of_size(BenchContext& context, std::int64_t rows) {
  constexpr std::int64_t kStep = 1 << 14;
  const std::int64_t before = resident_bytes();
  reset_peak_resident();
  Table<Cpu> table(item_table(),
                   run_of(context.communicator().rank(), context.communicator().size(), kShards));
  grow_rows(context, table, rows, kStep);
  const auto count = static_cast<double>(table.size());
  const double resident = static_cast<double>(resident_bytes() - before) / count;
  const double peak = static_cast<double>(peak_resident_bytes() - before) / count;
  BenchResult result{context.own_name(),
                     fmt::format("bytes per row, {:g} M rows", static_cast<double>(rows) / 1e6),
                     "B",
                     kDim,
                     {spread_of({resident})},
                     {{"rows", count}, {"rss_per_row", resident}, {"peak_rss_per_row", peak}},
                     0,
                     0};
  context.report().show(
      result,
      fmt::format("peak while growing {:.1f}, counted by the table {:.1f}; values and state {}",
                  peak, static_cast<double>(table.bytes()) / count, kRowBytes));
}

/// A job with one table of `rows` rows and next to nothing beside it.
JobConfig item_job(const std::string& folder) {
  JobConfig config;
  config.job.output = folder;
  config.model.type = ModelType::mlp;
  config.model.hidden = {4};
  config.embedding.tables = {item_table()};
  config.embedding.features = {{"item", 0, {Sum{}}}};
  return config;
}

/// Writes `bytes` bytes to a new file and waits until they are on the disk.
void write_plain(const std::string& path, const std::vector<char>& piece, std::int64_t bytes) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  require(file >= 0, Kind::io, "{}: cannot be made", path);
  bool good = true;
  for (std::int64_t done = 0; good && done < bytes;) {
    const auto size = std::min<std::int64_t>(static_cast<std::int64_t>(piece.size()), bytes - done);
    good = write(file, piece.data(), static_cast<std::size_t>(size)) == size;
    done += size;
  }
  good = good && fsync(file) == 0;
  close(file);
  require(good, Kind::io, "{}: cannot be written", path);
}

/// The speed of a save or a load, for `counted` bytes of values and state (keys do not count).
BenchResult speed(const std::string& peer, const std::string& measure, double counted,
                  const std::vector<double>& seconds) {
  BenchResult result{peer, measure, "GB/s", kDim, {}, {}, 0, 0};
  for (const double s : seconds) {
    result.rounds.push_back(spread_of({counted / s / 1e9}));
  }
  return result;
}

/// Milliseconds that all threads together spent in each phase, and last the elapsed time.
std::vector<std::pair<std::string, double>> phases_of(const CheckpointTimes& times) {
  const std::pair<const char*, std::int64_t> phases[] = {
      {"sort_copy_ms", times.copy}, {"digest_ms", times.digest},      {"write_ms", times.write},
      {"read_back_ms", times.read}, {"file_digest_ms", times.verify}, {"fsync_ms", times.sync},
      {"clock_ms", times.total}};
  std::vector<std::pair<std::string, double>> milliseconds;
  for (const auto& [name, nanoseconds] : phases) {
    milliseconds.emplace_back(name, static_cast<double>(nanoseconds) / 1e6);
  }
  return milliseconds;
}

/// Reports our speed beside a limit, and the phases of our last round.
void report_speed(BenchContext& context, const std::string& measure, double counted,
                  const std::vector<double>& seconds, const CheckpointTimes& times,
                  const BenchResult& limit) {
  BenchResult ours = speed(context.own_name(), measure, counted, seconds);
  ours.extra = phases_of(times);
  std::string note = "last round:";
  for (const auto& [name, milliseconds] : ours.extra) {
    note += fmt::format(" {} {:.0f}", name, milliseconds);
  }
  context.report().compare(ours, limit, note);
}

/// A folder that is gone at the end.
class BenchFolder {
 public:
  explicit BenchFolder(std::string path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
  }

  ~BenchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// What the rounds of saving and loading took, in seconds, and the phases of the last ones.
struct StorageTimes {
  std::vector<double> saves, loads, disk, copies;
  CheckpointTimes save, load;
};

/// Seconds of a call that takes `bytes` bytes of new memory, touched before. Collective.
double seconds_warm(BenchContext& context, std::int64_t bytes, const std::function<void()>& body) {
  warm_memory(2 * bytes);
  return context.seconds_of(body);
}

/// Saves the rows of a training, round after round. Each round writes new files: the files of the
/// previous round are removed first.
void save_rounds(BenchContext& context, const JobConfig& config, Training& training,
                 std::int64_t bytes, StorageTimes& times) {
  JobCheckpoints checkpoints(config, context.communicator(), context.stream());
  TrainingPosition position;
  position.reader.consumed.resize(static_cast<std::size_t>(config.job.slices));
  std::vector<char> piece(std::size_t{64} << 20, 1), target(piece.size(), 2);
  const std::string plain =
      fmt::format("{}/plain-{}", config.job.output, context.communicator().rank());
  for (std::int64_t round = 0; round < context.command().rounds; ++round) {
    if (context.communicator().rank() == 0) {
      std::filesystem::remove_all(checkpoint_folder(config.job.output) + "/" + step_name(0));
    }
    times.saves.push_back(
        seconds_warm(context, bytes, [&] { times.save = checkpoints.save(training, position); }));
    std::filesystem::remove(plain);
    times.disk.push_back(
        seconds_warm(context, bytes, [&] { write_plain(plain, piece, times.save.bytes); }));
    times.copies.push_back(context.seconds_of([&] {
      for (std::int64_t done = 0; done < times.save.bytes;
           done += static_cast<std::int64_t>(piece.size())) {
        std::memcpy(target.data(), piece.data(), piece.size());
      }
    }));
  }
}

/// Loads what was saved last, each round into new tables.
void load_rounds(BenchContext& context, const JobConfig& config, const DataSchema& schema,
                 std::int64_t bytes, StorageTimes& times) {
  const std::string saved = find_checkpoint(config.job.output, context.communicator());
  for (std::int64_t round = 0; round < context.command().rounds; ++round) {
    Trainer<Cpu> trainer(trainer_options(config), schema, context.communicator(), context.stream());
    times.loads.push_back(
        seconds_warm(context, bytes, [&] { load_checkpoint(saved, trainer, &times.load); }));
  }
}

}  // namespace

void measure_rows(BenchContext& context) {
  std::vector<std::int64_t> sizes{1'000'000, 10'000'000, 50'000'000};
  if (context.command().quick) {
    sizes = {300'000};
  }
  for (const std::int64_t rows : sizes) {
    constexpr double kRoom = 250;  // bytes a row that must be free, growth included
    if (static_cast<double>(available_bytes()) < kRoom * static_cast<double>(rows)) {
      context.report().say(fmt::format("bytes per row, {} rows: too little memory; skipped", rows));
      continue;
    }
    rows_of_size(context, rows);
  }
}

void measure_checkpoint(BenchContext& context) {
  const std::int64_t rows = context.command().quick ? 200'000 : 10'000'000;
  const BenchFolder folder(context.command().scratch + "/keyshard-bench");
  const JobConfig config = item_job(folder.path());
  DataSchema schema;
  schema.features = {"item"};
  const double counted = kRowBytes * static_cast<double>(rows);
  const auto bytes = static_cast<std::int64_t>(counted) / context.communicator().size();
  StorageTimes times;
  {
    TrainingOn<Cpu> training(trainer_options(config), schema, context.communicator(),
                             context.stream());
    grow_rows(context, *training.trainer().tables().tables().front(), rows, 1 << 18);
    save_rounds(context, config, training, bytes, times);
  }
  load_rounds(context, config, schema, bytes, times);

  const std::string what = fmt::format("{:g}M x 16 + state", static_cast<double>(rows) / 1e6);
  report_speed(context, "save " + what, counted, times.saves, times.save,
               speed("disk", "save " + what, counted, times.disk));
  report_speed(context, "load " + what, counted, times.loads, times.load,
               speed("memcpy", "load " + what, counted, times.copies));
}

}  // namespace keyshard
