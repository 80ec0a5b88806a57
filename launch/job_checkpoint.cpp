#include "launch/job_checkpoint.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "collectives/vote.hpp"
#include "io/checkpoint_folder.hpp"
#include "launch/config_changes.hpp"
#include "runtime/error.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

TableShape table_shape(const Table<Cpu>& table) {
  TableShape shape{table.options().name, {}, saved_options(table.options())};
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
    require(static_cast<std::int64_t>(saved.size()) == statistics.size(), Kind::corrupt_data,
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

/// The configuration as it is saved.
SettingValue config_tree(const JobConfig& config) {
  SettingValue::Table values;
  for (const auto& [path, value] : config.values) {
    values.emplace_back(path, value);
  }
  SettingValue::Array may_change;
  for (const std::string& key : changeable_keys()) {
    may_change.push_back({key, ""});
  }
  return {SettingValue::Table{{"values", {std::move(values), ""}},
                              {"may_change", {std::move(may_change), ""}}},
          ""};
}

ResolvedSettings saved_values(const Manifest& manifest, const std::string& path) {
  const SettingValue& values = StateReader(manifest.config, path).at("values");
  const auto* table = std::get_if<SettingValue::Table>(&values.value);
  require(table != nullptr, Kind::corrupt_data,
          "{}: expected the values of a configuration: found none", path);
  return {table->begin(), table->end()};
}

/// Sets the orders of reading that the start of the job has chosen; a line for each that the
/// configuration now forbids.
std::vector<std::string> resolve_orders(const TrainingPosition& position, DataOptions& options) {
  std::vector<std::string> refused;
  for (const auto& [split, saved] : {std::pair(Split::train, position.train_order),
                                     std::pair(Split::valid, position.valid_order)}) {
    if (options.format == DataFormat::text && options.order != ReadOrder::automatic &&
        options.order != saved) {
      refused.push_back(
          fmt::format("data.order may not change at a resume: expected {} for {}: "
                      "found {}",
                      name_of(saved), name_of(split), name_of(options.order)));
    }
    options.order_by_split[static_cast<std::size_t>(split)] = saved;
  }
  return refused;
}

}  // namespace

ResumePlan plan_resume(const std::string& path, const JobConfig& config,
                       Communicator<Cpu>& communicator) {
  ResumePlan plan{config.data, {}, {}};
  ConfigChanges changes;
  vote(communicator, [&] {
    LocalFileSystem files;
    const std::string name = path + "/" + kManifestName;
    const Manifest manifest = parse_manifest(read_text(files, name, kManifestLimit), name);
    changes = config_changes(saved_values(manifest, name), config.values);
    plan.position = StateReader(manifest.state, name).position();
  });
  const std::vector<std::string> orders = resolve_orders(plan.position, plan.data);
  changes.refused.insert(changes.refused.end(), orders.begin(), orders.end());
  require(changes.refused.empty(), Kind::corrupt_data, "{}: {}", path,
          fmt::join(changes.refused, fmt::format("\n{}: ", path)));
  plan.told = std::move(changes.told);
  return plan;
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
  content.config = config_tree(config_);
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
  const TrainingPosition position = state.position();

  load_dense(reader, trainer);
  for (const auto& table : trainer.tables().tables()) {
    load_table(reader, *table);
  }
  state.restore_clocks(trainer);
  trainer.restore_steps(manifest.step);
  if (times != nullptr) {
    *times = reader.times();
  }
  return position;
}

}  // namespace keyshard
