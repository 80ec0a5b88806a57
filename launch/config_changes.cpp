#include "launch/config_changes.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "runtime/json.hpp"

namespace keyshard {
namespace {

const std::vector<std::string>& free_keys() {
  static const std::vector<std::string> keys{
      "checkpoint.*",
      "data.folder",  // the digest of the data is compared
      "data.max_bad_lines",
      "data.memory_bytes",  // decides only the order of reading, which is saved
      "data.order",         // the saved order is compared
      "data.test",
      "data.train",  // the digest of the data is compared
      "data.valid",  // a warning if the digest differs
      "job.epochs",
      "job.metrics.*",
      "job.numerics",  // the fingerprint is compared
      "job.output",
      "job.overlap",
      "job.patience",
      "job.report_every_seconds",
      "job.report_every_steps",
      "job.start_seconds",
      "job.steps",
      "job.tensorboard",
      "job.threads",
      "job.unseen",
      "job.watchdog_seconds",
      "*.exchange",
      "*.init_capacity",
      "*.pretrained",  // rows are those of the checkpoint
      "*.bp_v2",       // a job is the only writer of its rows
      "*.devices",     // results do not depend on the owners of rows
  };
  return keys;
}

const std::vector<std::string>& steering_keys() {
  static const std::vector<std::string> keys{
      "job.batch_size",
      "job.decay",
      "job.decay_patience",
      "job.evaluate_every_epochs",
      "job.evaluate_every_steps",
      "job.least_decay",
      "job.schedule.*",
      "*.learning_rate",
      "*.trainable",
  };
  return keys;
}

/// Beside free_keys: what decides how a job of its own trains, or how its files are cut into
/// records. A key that decides what a record means stays fixed.
const std::vector<std::string>& free_of_other_jobs() {
  static const std::vector<std::string> keys{
      "data.block_bytes",
      "data.format",
      "data.generator.records",
      "data.generator.seed",
      "data.generator.valid_records",
      "data.generator.vocabulary",
      "data.generator.zipf",
      "data.header",
      "data.shuffle",
      "data.skip_lines",
      "data.split.*",
      "data.test_skip_lines",
      "data.train_skip_lines",
      "data.valid_skip_lines",
      "data.window",
      "job.drop_last",
      "job.metric",
      "model.batch_norm_momentum",
      "model.dropout",
      "model.l2",
      "*.activity_regularizer.l1",
      "*.activity_regularizer.type",
      "*.index",
      "*.l2",
      "*.l2_per",
      "*.weight_decay",
  };
  return keys;
}

/// Keys of an optimizer other than its type, which decides what states a checkpoint has.
bool steers_optimizer(const std::string& path) {
  const std::size_t at = path.find("optimizer.");
  return at != std::string::npos && !path.ends_with(".type");
}

/// Keys of the store of a table: a checkpoint holds the rows, wherever they live.
bool places_rows(const std::string& path) { return path.find(".kv_creator.") != std::string::npos; }

bool matches(const std::string& path, const std::vector<std::string>& keys) {
  return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
    return key.ends_with('*')     ? path.starts_with(key.substr(0, key.size() - 1))
           : key.starts_with('*') ? path.ends_with(key.substr(1))
                                  : path == key;
  });
}

std::string text_at(const ResolvedSettings& values, const std::string& path) {
  auto found = values.find(path);
  const std::string tables = "tables.";
  if (found == values.end() && path.starts_with(tables)) {
    const std::size_t name_end = path.find('.', tables.size());
    found = values.find("embedding" + path.substr(std::min(name_end, path.size())));
  }
  return found == values.end() ? "none" : json_text(found->second);
}

const char* occasion(CheckpointUse use) {
  return use == CheckpointUse::resume  ? "at a resume"
         : use == CheckpointUse::start ? "in a training that starts from a checkpoint"
                                       : "where a checkpoint is scored";
}

}  // namespace

KeyChange change_of(const std::string& path, CheckpointUse use) {
  if (use != CheckpointUse::resume &&
      (matches(path, steering_keys()) || matches(path, free_of_other_jobs()) ||
       steers_optimizer(path))) {
    return KeyChange::free;
  }
  return matches(path, free_keys()) || places_rows(path) ? KeyChange::free
         : matches(path, steering_keys())                ? KeyChange::steers
                                                         : KeyChange::fixed;
}

std::vector<std::string> changeable_keys() {
  std::vector<std::string> keys = free_keys();
  keys.insert(keys.end(), steering_keys().begin(), steering_keys().end());
  return keys;
}

ConfigChanges config_changes(const ResolvedSettings& saved, const ResolvedSettings& now,
                             CheckpointUse use) {
  std::set<std::string> paths;
  for (const ResolvedSettings* values : {&saved, &now}) {
    for (const auto& [path, value] : *values) {
      paths.insert(path);
    }
  }
  // A cosine without an end of its own ends with the job.
  const bool length_steers = use == CheckpointUse::resume &&
                             text_at(now, "job.schedule.type") == "\"cosine\"" &&
                             text_at(now, "job.schedule.steps") == "0";
  const bool groups_steer =
      use == CheckpointUse::resume && text_at(now, "job.metric") == "\"gauc\"";
  ConfigChanges changes;
  for (const std::string& path : paths) {
    const std::string was = text_at(saved, path), is = text_at(now, path);
    const bool is_length = path == "job.epochs" || path == "job.steps";
    const bool steers =
        (length_steers && is_length) || (groups_steer && path == "job.metrics.gauc");
    const KeyChange change = steers ? KeyChange::steers : change_of(path, use);
    if (was == is || change == KeyChange::free) {
      continue;
    }
    if (change == KeyChange::fixed) {
      changes.refused.push_back(
          fmt::format("{} may not change {}: expected {}: found {}", path, occasion(use), was, is));
    } else {
      changes.told.push_back(fmt::format("{} was {} and is {}", path, was, is));
    }
  }
  return changes;
}

}  // namespace keyshard
