#include "launch/job_checkpoint.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <utility>

#include "collectives/texts.hpp"
#include "collectives/vote.hpp"
#include "io/checkpoint_folder.hpp"
#include "io/content_copy.hpp"
#include "io/manifest_file.hpp"
#include "launch/job_file.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {
namespace {

/// A folder as it is found from any other one.
std::string whole_path(const std::string& folder) {
  return std::filesystem::absolute(folder.empty() ? "." : folder).lexically_normal().string();
}

/// The configuration as it is saved.
SettingValue config_value(const JobConfig& config) {
  return value_of(SettingValue::Table{
      {"values", value_of(SettingValue::Table(config.values.begin(), config.values.end()))},
      {"may_change", value_of(changeable_keys())},
      {"given", config.tree},
      {"folder", value_of(whole_path(config.folder))}});
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

/// A tree whose values all have this place.
SettingValue placed(SettingValue tree, const std::string& place) {
  tree.place = place;
  if (auto* list = std::get_if<SettingValue::Array>(&tree.value)) {
    for (SettingValue& entry : *list) {
      entry = placed(std::move(entry), place);
    }
  } else if (auto* table = std::get_if<SettingValue::Table>(&tree.value)) {
    for (auto& member : *table) {
      member.second = placed(std::move(member.second), place);
    }
  }
  return tree;
}

}  // namespace

ResumePlan plan_resume(const std::string& path, const JobConfig& config,
                       Communicator<Cpu>& communicator) {
  ResumePlan plan{config.data, {}, {}};
  ConfigChanges changes;
  vote(communicator, [&] {
    const std::string name = path + "/" + kManifestName;
    const Manifest manifest = manifest_of(path);
    changes = config_changes(saved_values(manifest, name), config.values);
    plan.position = position_in(ValueReader(manifest.state, name));
  });
  const std::vector<std::string> orders = resolve_orders(plan.position, plan.data);
  changes.refused.insert(changes.refused.end(), orders.begin(), orders.end());
  require(changes.refused.empty(), Kind::corrupt_data, "{}: {}", path,
          joined(changes.refused, fmt::format("\n{}: ", path)));
  plan.told = std::move(changes.told);
  return plan;
}

std::string checkpoint_folder(const std::string& output) { return output + "/checkpoints"; }

Manifest manifest_of(const std::string& checkpoint) {
  LocalFileSystem files;
  return read_manifest(files, checkpoint);
}

void keep_best_as_before(const std::string& checkpoint, JobConfig& config) {
  const SettingValue* given = member_of(config.tree, "checkpoint");
  if (given != nullptr && member_of(*given, "best") != nullptr) {
    return;
  }
  const ResolvedSettings saved =
      saved_values(manifest_of(checkpoint), checkpoint + "/" + kManifestName);
  const auto found = saved.find("checkpoint.best");
  if (found != saved.end() && as_flag(found->second).value_or(false)) {
    config.checkpoint.best = true;
    config.values["checkpoint.best"] = found->second;
  }
}

std::optional<BestStep> best_step_of(const Manifest& manifest, const std::string& path) {
  if (member_of(manifest.state, "schedule") == nullptr) {
    return std::nullopt;  // a program has saved its tables alone
  }
  const ScheduleState schedule = position_in(ValueReader(manifest.state, path)).schedule;
  if (!schedule.any) {
    return std::nullopt;
  }
  const ResolvedSettings values = saved_values(manifest, path);
  const auto metric = values.find("job.metric");
  return BestStep{schedule.best_step,
                  metric == values.end() ? "metric" : as_text(metric->second).value_or("metric"),
                  schedule.best};
}

JobConfig config_of(const Manifest& manifest, const std::string& path,
                    const std::vector<std::string>& assignments) {
  const SettingValue* given = member_of(manifest.config, "given");
  const SettingValue* folder = member_of(manifest.config, "folder");
  require(given != nullptr && folder != nullptr, Kind::corrupt_data,
          "{}: expected a checkpoint with the configuration of its training: found none; name a "
          "CONFIG",
          path);
  return read_job_config(placed(*given, path), as_text(*folder).value_or(""), assignments);
}

void require_same_shape(const Manifest& manifest, const std::string& path, const JobConfig& config,
                        CheckpointUse use) {
  const ConfigChanges changes = config_changes(saved_values(manifest, path), config.values, use);
  require(changes.refused.empty(), Kind::corrupt_data, "{}: {}", path,
          joined(changes.refused, fmt::format("\n{}: ", path)));
}

namespace {

/// Looks at the folder on rank 0 for all ranks. Collective.
std::string on_rank_0(Communicator<Cpu>& communicator, const std::function<std::string()>& look) {
  std::string found;
  vote(communicator, [&] {
    if (communicator.rank() == 0) {
      found = look();
    }
  });
  return broadcast_text(communicator, std::move(found));
}

bool is_folder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

/// The folder that holds checkpoints: of a job, or itself; empty where neither has one.
std::string holder_of(FileSystem& files, const std::string& folder) {
  for (const std::string& holder : {checkpoint_folder(folder), folder}) {
    if (is_folder(holder) && !committed_steps(files, holder).empty()) {
      return holder;
    }
  }
  return "";
}

/// DIR/best, DIR/latest or DIR/STEP; empty where the last part of the path is none of these, or DIR
/// holds no checkpoints.
std::string named_checkpoint(FileSystem& files, const std::string& folder,
                             const std::string& name) {
  const bool number = !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
  const std::string holder = holder_of(files, folder);
  if (holder.empty() || (name != "best" && name != "latest" && !number)) {
    return "";
  }
  const std::vector<std::int64_t> steps = committed_steps(files, holder);
  const std::string latest = holder + "/" + step_name(steps.back());
  if (name == "latest") {
    return latest;
  }
  std::int64_t step = number ? std::atoll(name.c_str()) : -1;
  if (name == "best") {
    const std::optional<BestStep> best =
        best_step_of(manifest_of(latest), latest + "/" + kManifestName);
    require(best.has_value(), Kind::corrupt_data,
            "{}: expected an evaluation before the newest checkpoint, step {}: found none", holder,
            steps.back());
    step = best->step;
  }
  require(std::find(steps.begin(), steps.end(), step) != steps.end(), Kind::corrupt_data,
          "{}: expected a checkpoint of step {}: found steps {}; checkpoint.best keeps that of the "
          "best "
          "step, checkpoint.keep the newest ones",
          holder, step, joined(steps, ", "));
  return holder + "/" + step_name(step);
}

/// The checkpoint that a path names; empty where there is none.
std::string checkpoint_at(const std::string& path, const std::string& output) {
  LocalFileSystem files;
  const std::filesystem::path clean(path);
  if (clean.filename() == kManifestName && !is_folder(path)) {
    return clean.parent_path().empty() ? "." : clean.parent_path().string();
  }
  if (is_folder(path)) {
    const std::string holder = holder_of(files, path);
    return step_of(clean.filename().string()) || files.exists(path + "/" + kManifestName) ? path
           : holder.empty()                                                               ? ""
                            : holder + "/" + step_name(committed_steps(files, holder).back());
  }
  const std::string name = clean.filename().string();
  return clean.has_parent_path() ? named_checkpoint(files, clean.parent_path().string(), name)
         : output.empty()        ? named_checkpoint(files, ".", name)
                                 : named_checkpoint(files, output, name);
}

/// The folder of checkpoints of a job, through a symbolic link.
std::string followed(const std::string& folder) {
  std::error_code error;
  if (!std::filesystem::is_symlink(folder, error)) {
    return folder;
  }
  const std::filesystem::path target = std::filesystem::canonical(folder, error);
  require(!error, Kind::io, "{}: expected a link to a folder: {}", folder, error.message());
  return target.string();
}

}  // namespace

std::string find_checkpoint(const std::string& path, Communicator<Cpu>& communicator,
                            const std::string& output) {
  std::string clean = path;
  while (clean.size() > 1 && clean.ends_with('/')) {
    clean.pop_back();
  }
  const std::string found = on_rank_0(communicator, [&] { return checkpoint_at(clean, output); });
  require(!found.empty(), Kind::corrupt_data,
          "{}: expected a checkpoint, or a folder with committed ones: found none", path);
  return found;
}

JobCheckpoints::JobCheckpoints(const JobConfig& config, Communicator<Cpu>& communicator,
                               Stream<Cpu>& stream)
    : config_(config),
      communicator_(communicator),
      folder_(followed(checkpoint_folder(config.job.output))),
      writer_(files_, folder_, communicator, stream),
      stream_(stream) {}

std::int64_t KeptBest::at(std::int64_t step, std::int64_t best,
                          const std::function<bool(std::int64_t)>& is_saved) {
  if (last_ >= 0 && is_saved(last_)) {
    saved_ = last_;
  }
  last_ = best;
  return step == best || is_saved(best) ? best : saved_;
}

/// The newest checkpoints stay and, where the best one is kept, that of the best step.
Retention JobCheckpoints::retention_at(std::int64_t step, const ScheduleState& schedule) {
  if (!config_.checkpoint.best || !schedule.any) {
    return {config_.checkpoint.keep, -1};
  }
  return {config_.checkpoint.keep, kept_best_.at(step, schedule.best_step, [&](std::int64_t best) {
            return files_.exists(folder_ + "/" + step_name(best) + "/" + kManifestName);
          })};
}

void JobCheckpoints::begin(Training& training, const TrainingPosition& position) {
  begin(training.content(position), position.schedule);
}

void JobCheckpoints::begin(CheckpointContent content, const ScheduleState& schedule) {
  content.config = config_value(config_);
  writer_.begin(content, retention_at(content.step, schedule));
}

bool JobCheckpoints::hold(Training& training, const TrainingPosition& position,
                          std::int64_t most_bytes) {
  held_.reset();
  CheckpointContent content = training.content(position);
  std::int64_t bytes = bytes_of(content);
  communicator_.all_reduce(Span<std::int64_t>(&bytes, 1), Reduction::max);
  const bool may_wait = bytes <= most_bytes;
  if (may_wait) {
    vote(communicator_,
         [&] { content = copy_of(content, communicator_.rank(), communicator_.size(), stream_); });
  }
  held_ = Held{std::move(content), position.schedule};
  return may_wait;
}

void JobCheckpoints::begin_held() {
  Held held = *std::exchange(held_, std::nullopt);
  begin(std::move(held.content), held.schedule);
}

CheckpointTimes JobCheckpoints::save(Training& training, const TrainingPosition& position) {
  begin(training, position);
  return finish();
}

void JobCheckpoints::remove_all() {
  vote(communicator_, [&] {
    if (communicator_.rank() == 0) {
      for (const std::int64_t step : committed_steps(files_, folder_)) {
        remove_checkpoint(files_, folder_, step);
      }
    }
  });
}

}  // namespace keyshard
