#include "launch/job_checkpoint.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "io/checkpoint_folder.hpp"
#include "io/vote.hpp"
#include "runtime/error.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

SettingValue number(std::int64_t value) { return {value, ""}; }

/// JSON has no word for a number that is not finite; a text holds it.
SettingValue real(double value) {
  return std::isfinite(value) ? SettingValue{value, ""}
                              : SettingValue{std::string(std::isnan(value) ? "nan"
                                                         : value > 0       ? "inf"
                                                                           : "-inf"),
                                             ""};
}

/// The clock of an optimizer: its steps and the powers of its decay rates.
SettingValue clock_value(const OptimizerClock& clock) {
  return {SettingValue::Array{number(clock.step()), real(clock.power_1()), real(clock.power_2())},
          ""};
}

/// What decides the results of a table beside its columns.
SettingValue table_options(const TableOptions& options) {
  return {SettingValue::Table{
              {"partitioner", {options.partitioner, ""}},
              {"seed", number(static_cast<std::int64_t>(options.seed))},
              {"pool_order",
               {std::string(options.pool_order == PoolOrder::shard ? "shard" : "bag"), ""}}},
          ""};
}

TableShape table_shape(const Table<Cpu>& table) {
  TableShape shape{table.options().name, {}, table_options(table.options())};
  for (const RowColumn& column : table.columns()) {
    shape.columns.push_back({column.name, ElementType::f32, column.width});
  }
  return shape;
}

TableSource table_source(const Table<Cpu>& table) {
  TableSource source;
  source.shape = table_shape(table);
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    source.rows.push_back(table.shard_size(shard));
  }
  source.copy = [&table](std::int64_t shard, Span<Key> keys,
                         const std::vector<std::byte*>& columns) {
    const ShardRows rows = table.shard_rows(shard);
    std::copy(rows.keys.begin(), rows.keys.end(), keys.begin());
    const std::vector<RowColumn> places = table.columns();
    for (std::size_t c = 0; c < places.size(); ++c) {
      table.copy_column(rows.rows, places[c], reinterpret_cast<float*>(columns[c]));
    }
  };
  return source;
}

SettingValue state_tree(const JobConfig& config, Trainer& trainer,
                        const TrainingPosition& position) {
  SettingValue::Array consumed, clocks;
  for (const std::int64_t records : position.reader.consumed) {
    consumed.push_back(number(records));
  }
  for (const auto& table : trainer.tables().tables()) {
    for (const OptimizerClock& clock : table->clocks()) {
      clocks.push_back(clock_value(clock));
    }
  }
  const ScheduleState& s = position.schedule;
  return {
      SettingValue::Table{
          {"slices", number(config.job.slices)},
          {"shards", number(kShards)},
          {"batch_size", number(config.job.batch_size)},
          {"seed", number(static_cast<std::int64_t>(config.job.seed))},
          {"window", number(config.data.window)},
          {"order", {std::string(name_of(position.train_order)), ""}},
          {"valid_order", {std::string(name_of(position.valid_order)), ""}},
          {"epoch", number(position.reader.epoch)},
          {"epoch_step", number(position.reader.step)},
          {"consumed", {consumed, ""}},
          {"data", {position.data.hex(), ""}},
          {"numerics", {position.numerics, ""}},
          {"bad_lines", number(position.bad_lines.total)},
          {"bad_lines_of_epoch", number(position.bad_lines.epoch)},
          {"table_clocks", {clocks, ""}},
          {"dense_clock", clock_value(trainer.dense().optimizer().clock())},
          {"schedule",
           {SettingValue::Array{number(s.any), real(s.best), number(s.best_step), number(s.worse),
                                number(s.since_decay), real(s.scale), number(s.stopped)},
            ""}}},
      ""};
}

/// Reads the parts of a state tree; what is missing or of another kind is corrupt.
class StateReader {
 public:
  StateReader(const SettingValue& tree, std::string path) : tree_(tree), path_(std::move(path)) {}

  const SettingValue& at(const char* key) const {
    const auto* table = std::get_if<SettingValue::Table>(&tree_.value);
    if (table != nullptr) {
      for (const auto& [name, value] : *table) {
        if (name == key) {
          return value;
        }
      }
    }
    refuse(key);
  }

  std::int64_t integer(const char* key) const { return integer(at(key), key); }

  std::string text(const char* key) const {
    const auto* text = std::get_if<std::string>(&at(key).value);
    return text != nullptr ? *text : (refuse(key), std::string());
  }

  const SettingValue::Array& array(const SettingValue& value, const char* key,
                                   std::size_t size) const {
    const auto* values = std::get_if<SettingValue::Array>(&value.value);
    if (values == nullptr || values->size() != size) {
      refuse(key);
    }
    return *values;
  }

  std::int64_t integer(const SettingValue& value, const char* key) const {
    const auto* integer = std::get_if<std::int64_t>(&value.value);
    return integer != nullptr ? *integer : (refuse(key), 0);
  }

  /// JSON writes a whole double as it likes, and one that is not finite is a text.
  double real(const SettingValue& value, const char* key) const {
    if (const auto* text = std::get_if<std::string>(&value.value)) {
      constexpr double kInfinity = std::numeric_limits<double>::infinity();
      return *text == "inf"    ? kInfinity
             : *text == "-inf" ? -kInfinity
             : *text == "nan"  ? std::numeric_limits<double>::quiet_NaN()
                               : (refuse(key), 0.0);
    }
    const auto* real = std::get_if<double>(&value.value);
    return real != nullptr ? *real : static_cast<double>(integer(value, key));
  }

  void clock(const SettingValue& value, OptimizerClock& clock) const {
    const auto& parts = array(value, "clock", 3);
    clock.restore(integer(parts[0], "clock"), real(parts[1], "clock"), real(parts[2], "clock"));
  }

 private:
  [[noreturn]] void refuse(const char* key) const {
    fail(Kind::corrupt_data, "{}: expected a state with \"{}\": found none that fits", path_, key);
  }

  const SettingValue& tree_;
  std::string path_;
};

void require_same(const std::string& path, const char* what, const std::string& expected,
                  const std::string& found) {
  require(expected == found, Kind::corrupt_data, "{}: expected {} {} of this job: found {}", path,
          what, expected, found);
}

/// Whether the checkpoint is of this job's model. Nothing has been loaded yet.
void check_model(const std::string& path, const Manifest& manifest, Trainer& trainer) {
  const auto& tables = trainer.tables().tables();
  require(manifest.tables.size() == tables.size(), Kind::corrupt_data,
          "{}: expected {} tables of this job: found {}", path, tables.size(),
          manifest.tables.size());
  for (std::size_t t = 0; t < tables.size(); ++t) {
    const TableShape mine = table_shape(*tables[t]);
    const ManifestTable& theirs = manifest.tables[t];
    require_same(path, "table", mine.name, theirs.shape.name);
    require(mine.columns == theirs.shape.columns && theirs.shards() == kShards, Kind::corrupt_data,
            "{}: table {}: expected the columns of this job: found others; was the model, dim or "
            "optimizer changed?",
            path, mine.name);
    require_same(path, ("options of table " + mine.name).c_str(), json_text(mine.options),
                 json_text(theirs.shape.options));
  }
}

std::vector<float> read_floats(CheckpointReader& reader, const std::string& name) {
  const std::vector<std::byte> bytes = reader.read_dense(name);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

void load_dense(CheckpointReader& reader, Trainer& trainer) {
  DenseSide& dense = trainer.dense();
  std::vector<std::vector<float>> states;
  for (const std::string& name : dense.optimizer().names()) {
    states.push_back(read_floats(reader, "state/" + name));
  }
  dense.restore(read_floats(reader, "weights"), states);
  const Span<float> statistics = dense.model().statistics();
  if (!statistics.empty()) {
    const std::vector<float> saved = read_floats(reader, "statistics");
    require(saved.size() == statistics.size(), Kind::corrupt_data,
            "{}: expected {} running statistics: found {}", reader.path(), statistics.size(),
            saved.size());
    std::copy(saved.begin(), saved.end(), statistics.begin());
  }
}

void load_table(CheckpointReader& reader, Table<Cpu>& table) {
  reader.read_table(table.options().name, [&](std::int64_t shard, Span<const Key> keys,
                                              const std::vector<const std::byte*>& columns) {
    std::vector<const float*> floats;
    for (const std::byte* column : columns) {
      floats.push_back(reinterpret_cast<const float*>(column));
    }
    table.load_shard(shard, keys, floats);
  });
}

ReadOrder read_order(const std::string& name, const std::string& path) {
  for (const ReadOrder order : {ReadOrder::blocks, ReadOrder::files, ReadOrder::stream}) {
    if (name == name_of(order)) {
      return order;
    }
  }
  fail(Kind::corrupt_data, "{}: expected an order of reading: found \"{}\"", path, name);
}

TrainingPosition read_position(const StateReader& state, const Manifest& manifest) {
  TrainingPosition position;
  position.reader.epoch = state.integer("epoch");
  position.reader.step = state.integer("epoch_step");
  const auto& consumed = state.array(state.at("consumed"), "consumed",
                                     static_cast<std::size_t>(state.integer("slices")));
  for (const SettingValue& records : consumed) {
    position.reader.consumed.push_back(state.integer(records, "consumed"));
  }
  const auto& s = state.array(state.at("schedule"), "schedule", 7);
  position.schedule = {state.integer(s[0], "schedule") != 0, state.real(s[1], "schedule"),
                       state.integer(s[2], "schedule"),      state.integer(s[3], "schedule"),
                       state.integer(s[4], "schedule"),      state.real(s[5], "schedule"),
                       state.integer(s[6], "schedule") != 0};
  position.bad_lines = {state.integer("bad_lines"), state.integer("bad_lines_of_epoch")};
  position.numerics = state.text("numerics");
  const std::string hex = state.text("data");
  require(hex.size() == 32, Kind::corrupt_data,
          "expected a digest of the data in the state of step {}: found \"{}\"", manifest.step,
          hex);
  position.data = {std::stoull(hex.substr(16), nullptr, 16),
                   std::stoull(hex.substr(0, 16), nullptr, 16)};
  return position;
}

}  // namespace

DataOptions data_of_checkpoint(const std::string& path, DataOptions options,
                               Communicator<Cpu>& communicator) {
  vote(communicator, [&] {
    LocalFileSystem files;
    const std::string name = path + "/" + kManifestName;
    const Manifest manifest = parse_manifest(read_text(files, name, kManifestLimit), name);
    const StateReader state(manifest.state, path);
    require_same(path, "window", std::to_string(options.window),
                 std::to_string(state.integer("window")));
    const std::pair<Split, const char*> splits[] = {{Split::train, "order"},
                                                    {Split::valid, "valid_order"}};
    for (const auto& [split, key] : splits) {
      const ReadOrder order = read_order(state.text(key), path);
      if (options.format == DataFormat::text && options.order != ReadOrder::automatic) {
        require_same(path, "order", name_of(options.order), name_of(order));
      }
      options.order_by_split[static_cast<std::size_t>(split)] = order;
    }
  });
  return options;
}

std::string checkpoint_folder(const std::string& output) { return output + "/checkpoints"; }

std::string find_checkpoint(const std::string& path, Communicator<Cpu>& communicator) {
  LocalFileSystem files;
  std::string clean = path;
  while (clean.size() > 1 && clean.ends_with('/')) {
    clean.pop_back();
  }
  if (step_of(std::filesystem::path(clean).filename().string())) {
    return clean;
  }
  for (const std::string& folder : {checkpoint_folder(clean), clean}) {
    const std::string latest = latest_checkpoint(files, folder, communicator);
    if (!latest.empty()) {
      return latest;
    }
  }
  fail(Kind::corrupt_data, "{}: expected a checkpoint, or a folder with committed ones: found none",
       path);
}

JobCheckpoints::JobCheckpoints(const JobConfig& config, Communicator<Cpu>& communicator,
                               Stream<Cpu>& stream)
    : config_(config),
      writer_(files_, checkpoint_folder(config.job.output), communicator, stream) {}

CheckpointTimes JobCheckpoints::save(Trainer& trainer, const TrainingPosition& position) {
  CheckpointContent content;
  content.step = trainer.steps();
  content.shards = kShards;
  content.config = config_.tree;
  content.state = state_tree(config_, trainer, position);
  for (const auto& table : trainer.tables().tables()) {
    content.tables.push_back(table_source(*table));
  }
  const std::vector<DensePart> parts = trainer.dense().parts();
  for (const DensePart& part : parts) {
    content.dense.push_back({part.name,
                             ElementType::f32,
                             {static_cast<std::int64_t>(part.values.size())},
                             part.values.data()});
  }
  const bool keeps_best = config_.job.patience > 0 && position.schedule.any;
  return writer_.save(content,
                      {config_.checkpoint.keep, keeps_best ? position.schedule.best_step : -1});
}

TrainingPosition load_checkpoint(const std::string& path, const JobConfig& config, Trainer& trainer,
                                 CheckpointTimes* times) {
  LocalFileSystem files;
  Communicator<Cpu>& communicator = trainer.communicator();
  const InPhase phase(communicator.progress(), Phase::loading);
  CheckpointReader reader(files, path, communicator, trainer.stream());
  const Manifest& manifest = reader.manifest();
  check_model(path, manifest, trainer);
  const StateReader state(manifest.state, path);
  require_same(path, "slices", std::to_string(config.job.slices),
               std::to_string(state.integer("slices")));
  require_same(path, "seed", std::to_string(static_cast<std::int64_t>(config.job.seed)),
               std::to_string(state.integer("seed")));
  const TrainingPosition position = read_position(state, manifest);

  load_dense(reader, trainer);
  for (const auto& table : trainer.tables().tables()) {
    load_table(reader, *table);
  }
  std::size_t clock = 0;
  std::size_t clocks = 0;
  for (const auto& table : trainer.tables().tables()) {
    clocks += table->clocks().size();
  }
  const auto& saved = state.array(state.at("table_clocks"), "table_clocks", clocks);
  for (const auto& table : trainer.tables().tables()) {
    for (OptimizerClock& own : table->clocks()) {
      state.clock(saved[clock++], own);
    }
  }
  state.clock(state.at("dense_clock"), trainer.dense().optimizer().clock());
  trainer.restore_steps(manifest.step);
  if (times != nullptr) {
    *times = reader.times();
  }
  return position;
}

}  // namespace keyshard
