#include "launch/training/job_checks.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string_view>

#include "launch/training/models/batch_norm.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/json.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

/// The place of a key that file, --set or an option has given; null for a default.
const std::string* place_of(const JobConfig& config, const std::string& path) {
  const auto found = config.values.find(path);
  return found == config.values.end() || found->second.place.empty() ? nullptr
                                                                     : &found->second.place;
}

std::string value_at(const JobConfig& config, const std::string& path) {
  const auto found = config.values.find(path);
  return found == config.values.end() ? "none" : json_text(found->second);
}

std::string line(const JobConfig& config, const std::string& path, const std::string& text) {
  const std::string* place = place_of(config, path);
  return place == nullptr ? fmt::format("{}: {}", path, text)
                          : fmt::format("{}: {}: {}", *place, path, text);
}

bool evaluates(const JobConfig& config) {
  return config.job.evaluate_every_steps > 0 || config.job.evaluate_every_epochs > 0;
}

/// The keys that need evaluations, and are set to need them.
std::vector<std::string> needing_evaluation(const JobConfig& config) {
  const JobOptions& job = config.job;
  std::vector<std::string> keys;
  const auto add = [&](bool asks, const char* key, const char* table = "job.") {
    if (asks) {
      keys.push_back(std::string(table) + key);
    }
  };
  add(job.patience > 0, "patience");
  add(job.decay < 1, "decay");
  add(!job.unseen.empty(), "unseen");
  add(job.evaluate_every_steps > 0, "evaluate_every_steps");
  add(job.evaluate_every_epochs > 0 && place_of(config, "job.evaluate_every_epochs") != nullptr,
      "evaluate_every_epochs");
  add(config.checkpoint.best && job.patience == 0, "best", "checkpoint.");
  return keys;
}

void check_evaluation(const JobConfig& config, std::vector<std::string>& problems) {
  const bool data = has_validation_data(config);
  if (data && evaluates(config)) {
    return;
  }
  for (const std::string& key : needing_evaluation(config)) {
    const std::string found = value_at(config, key);
    problems.push_back(line(
        config, key,
        data ? fmt::format("expected an evaluation now and then, by job.evaluate_every_epochs "
                           "or job.evaluate_every_steps: found {} and no evaluation",
                           found)
             : fmt::format(
                   "expected validation data, by data.valid or data.split.valid: found {} and no "
                   "validation data",
                   found)));
  }
}

void check_metric(const JobConfig& config, std::vector<std::string>& problems) {
  if (config.model.loss == Loss::squared_error && config.job.metric != ValidationMetric::rmse) {
    problems.push_back(line(config, "job.metric",
                            fmt::format("expected \"rmse\", which is the default where model.loss "
                                        "is \"squared_error\": found \"{}\"",
                                        name_of(config.job.metric))));
  }
}

void check_batch_norm(const JobConfig& config, std::vector<std::string>& problems) {
  const std::int64_t least = SliceStatistics::kLeastSamples;
  const std::int64_t samples = config.job.batch_size / config.job.slices;
  if (config.model.batch_norm && samples < least) {
    problems.push_back(line(
        config, "model.batch_norm",
        fmt::format("expected at least {} samples in a slice of a batch, for statistics of "
                    "their own: found job.batch_size / job.slices = {} / {}; a batch_size of "
                    "at least {} or fewer slices do",
                    least, config.job.batch_size, config.job.slices, least * config.job.slices)));
  }
}

/// Adds a line if the key was given.
void add_given(const JobConfig& config, const std::string& path, const char* why,
               std::vector<std::string>& lines) {
  if (place_of(config, path) != nullptr) {
    lines.push_back(line(config, path, why));
  }
}

/// Adds one line for the table `prefix` if any of its keys was given.
void add_table(const JobConfig& config, const std::string& prefix, const char* why,
               std::vector<std::string>& lines) {
  const auto given =
      std::find_if(config.values.begin(), config.values.end(), [&](const auto& entry) {
        return entry.first.starts_with(prefix + ".") && !entry.second.place.empty();
      });
  if (given != config.values.end()) {
    lines.push_back(fmt::format("{}: {}: {}", given->second.place, prefix, why));
  }
}

void add_of_model(const JobConfig& config, std::vector<std::string>& lines) {
  const ModelOptions& model = config.model;
  const bool layers =
      !model.hidden.empty() || (model.type == ModelType::dlrm && !model.bottom.empty());
  if (!model.batch_norm) {
    add_given(config, "model.batch_norm_momentum", "without model.batch_norm", lines);
  }
  if (has_network(model.type) && !layers) {
    for (const char* key : {"model.batch_norm", "model.dropout"}) {
      add_given(config, key, "there are no hidden layers", lines);
    }
  }
  const std::vector<std::string> groups = column_groups(model.type);
  if (std::find(groups.begin(), groups.end(), "linear") == groups.end()) {
    add_table(config, "embedding.linear", "this model has no linear weights", lines);
  }
  if (std::find(groups.begin(), groups.end(), "factor") == groups.end()) {
    add_given(config, "embedding.dim", "this model has linear weights alone", lines);
  }
}

/// The whole paths of the files of a split, sorted; none where its records are a share of the
/// training data.
std::vector<std::string> sorted_files(const JobConfig& config, Split split) {
  std::vector<std::string> files;
  if (config.data.format != DataFormat::generated &&
      (split == Split::train || !config.data.is_share(split))) {
    for (const std::string& file : config.data.files(split)) {
      files.push_back(file == "-" ? file
                                  : std::filesystem::absolute(file).lexically_normal().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

bool has_validation_data(const JobConfig& config) {
  return config.data.format == DataFormat::generated || !config.data.files(Split::valid).empty();
}

void refuse_unworkable(const JobConfig& config) {
  std::vector<std::string> problems;
  check_evaluation(config, problems);
  check_metric(config, problems);
  check_batch_norm(config, problems);
  require(problems.empty(), Kind::invalid_argument, "{}", joined(problems, "\n"));
}

std::vector<std::string> without_effect(const JobConfig& config) {
  std::vector<std::string> lines;
  if (!has_validation_data(config) || !evaluates(config)) {
    add_given(config, "job.metric", "nothing is evaluated", lines);
    add_table(config, "job.metrics", "nothing is evaluated before `keyshard evaluate`", lines);
  }
  if (config.model.loss == Loss::squared_error) {
    add_given(config, "job.metrics.gauc", "with squared error there is no AUC", lines);
  }
  if (config.job.metrics.by.empty()) {
    add_given(config, "job.metrics.most", "without job.metrics.by", lines);
  }
  if (config.job.decay >= 1) {
    for (const char* key : {"job.decay_patience", "job.least_decay"}) {
      add_given(config, key, "without job.decay below 1", lines);
    }
  }
  if (!config.data.split.active()) {
    add_table(config, "data.split", "neither valid nor test is above 0", lines);
  }
  add_of_model(config, lines);
  if (config.data.format != DataFormat::generated) {
    add_table(config, "data.generator", "the data are not generated", lines);
  } else {
    for (const char* key : {"data.train", "data.valid", "data.test"}) {
      add_given(config, key, "the data are generated", lines);
    }
  }
  return lines;
}

std::vector<std::string> repeated_files(const JobConfig& config) {
  std::vector<std::string> lines;
  const std::vector<std::string> train = sorted_files(config, Split::train),
                                 valid = sorted_files(config, Split::valid);
  for (const auto& [split, files] :
       {std::pair(Split::train, &train), std::pair(Split::valid, &valid)}) {
    if (const auto twice = std::adjacent_find(files->begin(), files->end());
        twice != files->end()) {
      lines.push_back(line(config, fmt::format("data.{}", name_of(split)),
                           fmt::format("{} is named more than once, and its records count as often",
                                       shown(*twice))));
    }
  }
  std::vector<std::string> both;
  std::set_intersection(train.begin(), train.end(), valid.begin(), valid.end(),
                        std::back_inserter(both));
  if (!both.empty()) {
    lines.push_back(
        line(config, "data.valid",
             fmt::format("{} is a file of data.train, too: its metrics are not those of new data",
                         shown(both.front()))));
  }
  return lines;
}

}  // namespace keyshard
