#include "launch/job_checkpoint.hpp"

#include <filesystem>

#include "collectives/vote.hpp"
#include "io/checkpoint_folder.hpp"
#include "launch/config_changes.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// The configuration as it is saved.
SettingValue config_value(const JobConfig& config) {
  return value_of(SettingValue::Table{
      {"values", value_of(SettingValue::Table(config.values.begin(), config.values.end()))},
      {"may_change", value_of(changeable_keys())}});
}

ResolvedSettings saved_values(const Manifest& manifest, const std::string& path) {
  const ValueReader values = ValueReader(manifest.config, path).at("values");
  const auto* table = std::get_if<SettingValue::Table>(&values.value().value);
  require(table != nullptr, Kind::corrupt_data,
          "{}: expected the values of a configuration: found none", path);
  return {table->begin(), table->end()};
}

/// Sets the orders of reading to those chosen at the start of the job. Returns a line for each that
/// the configuration no longer allows.
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

/// The newest checkpoints stay and, with early stopping, the checkpoint of the best step.
Retention retention_of(const JobConfig& config, const ScheduleState& schedule) {
  const bool keeps_best = config.job.patience > 0 && schedule.any;
  return {config.checkpoint.keep, keeps_best ? schedule.best_step : -1};
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
    plan.position = position_in(ValueReader(manifest.state, name));
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

CheckpointTimes JobCheckpoints::save(Trainer<Cpu>& trainer, const TrainingPosition& position) {
  return save_checkpoint(writer_, retention_of(config_, position.schedule), config_value(config_),
                         trainer, position);
}

}  // namespace keyshard
