#include "launch/training/job_config.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "launch/training/job_keys.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kConfigVersion = 1;

ValidationMetric usual_metric(Loss loss) {
  return loss == Loss::squared_error ? ValidationMetric::rmse : ValidationMetric::auc;
}

/// [[data.columns]], from which embeddings read some keys.
std::vector<ColumnSettings> columns_of(Settings& root) {
  std::vector<ColumnSettings> columns;
  for (Settings& column : root.table("data").tables("columns")) {
    std::string name = column.text("name", "");
    columns.push_back({std::move(name), column});
  }
  return columns;
}

/// The features whose samples hold lists of ids.
std::vector<std::string> list_features(const DataOptions& data) {
  const std::vector<std::string> features = data.schema().features;
  std::vector<std::string> lists;
  for (std::size_t f = 0; f < features.size(); ++f) {
    const auto number = static_cast<std::int64_t>(f);
    const bool is_list =
        data.format == DataFormat::generated
            ? number >= data.generator.features - data.generator.ragged
            : std::any_of(data.columns.begin(), data.columns.end(),
                          [&](const ColumnOptions& column) {
                            return column.role == ColumnRole::ids && column.name == features[f];
                          });
    if (is_list) {
      lists.push_back(features[f]);
    }
  }
  return lists;
}

/// Whether the columns that read a table hold strings; nothing where they hold ids of both kinds.
std::optional<bool> holds_strings(const DataOptions& data, const std::string& table) {
  std::int64_t strings = 0, integers = 0;
  for (const ColumnOptions& column : data.columns) {
    const bool of_table = column.is_feature() && column.key_space == table;
    const bool text = column.has_ids() && !column.integer;
    strings += of_table && text ? 1 : 0;
    integers += of_table && !text ? 1 : 0;
  }
  return strings > 0 && integers > 0 ? std::nullopt : std::optional(strings > 0);
}

/// The hash of the strings of a table, the same in all of its columns.
TextHash hash_of_strings(const DataOptions& data, const std::string& table) {
  for (const ColumnOptions& column : data.columns) {
    if (column.has_ids() && !column.integer && column.key_space == table) {
      return column.hash;
    }
  }
  return TextHash::xxh3;
}

/// The key `pretrained` of [tables.NAME], from which embeddings read the other keys.
std::vector<Pretrained> read_pretrained(Settings& root, const DataOptions& data,
                                        const std::string& folder) {
  std::vector<Pretrained> all;
  for (auto& [name, settings] : root.named_tables("tables")) {
    if (!settings.has("pretrained")) {
      continue;
    }
    const std::string path = settings.text("pretrained", "");
    const std::optional<bool> strings = holds_strings(data, name);
    if (path.empty()) {
      settings.problem("pretrained", "expected a path of one character at least");
    } else if (!strings) {
      settings.problem("pretrained",
                       fmt::format("expected columns of one type that read table {}: found strings "
                                   "and integers",
                                   name));
    }
    all.push_back({name, (std::filesystem::path(folder) / path).string(), strings.value_or(false),
                   hash_of_strings(data, name)});
  }
  return all;
}

}  // namespace

std::string config_text(const ResolvedSettings& values) {
  std::string out;
  for (const auto& [path, value] : values) {
    out += fmt::format("{} = {}\n", path, json_text(value));
  }
  return out;
}

JobConfig read_sections(Settings& root, const std::string& folder, const OwnRules& rules) {
  root.describe(section_keys());
  JobConfig config;
  const bool versioned = root.has("config_version");
  const std::int64_t version = root.integer("config_version", kConfigVersion);
  if (!versioned || version != kConfigVersion) {
    root.problem("config_version", fmt::format("expected {}: found {}", kConfigVersion,
                                               versioned ? std::to_string(version) : "none"));
  }
  config.data = read_data_options(root.table("data"), folder, embedding_column_keys());
  const std::vector<std::string> features = config.data.schema().features;
  config.model = read_model_options(root.table("model"), rules);
  config.job = read_job_options(root.table("job"), {features, list_features(config.data)},
                                usual_metric(config.model.loss));
  if (config.model.loss == Loss::log_loss) {
    config.data.labels = {0, 1, "log loss"};
  }
  config.checkpoint = read_checkpoint_options(root.table("checkpoint"), config.job);
  config.embedding = read_embedding_options(root, features, group_defaults(config.model.type),
                                            columns_of(root), config.job.seed, rules);
  config.pretrained = read_pretrained(root, config.data, folder);
  root.finish();
  return config;
}

JobConfig job_config_of(const SettingValue& tree, const std::string& folder,
                        const OwnRules& rules) {
  const auto report = std::make_shared<SettingsReport>();
  Settings root(tree, "", report);
  JobConfig config = read_sections(root, folder, rules);
  require(report->messages.empty(), Kind::invalid_argument, "{}", joined(report->sorted(), "\n"));
  config.values = std::move(report->values);
  config.tree = tree;
  config.folder = folder;
  if (!folder.empty()) {
    config.job.output = (std::filesystem::path(folder) / config.job.output).string();
  }
  return config;
}

TrainerOptions trainer_options(const JobConfig& config) {
  return {.embedding = config.embedding,
          .model = config.model,
          .seed = config.job.seed,
          .slices = config.job.slices,
          .max_bad_lines = config.data.max_bad_lines,
          .overlap = config.job.overlap};
}

ReadPlan read_plan(const JobConfig& config, bool training) {
  ReadPlan plan;
  plan.batch_size = config.job.batch_size;
  plan.slices = config.job.slices;
  plan.seed = config.job.seed;
  plan.shuffle = training;
  plan.drop_last = training && config.job.drop_last;
  return plan;
}

}  // namespace keyshard
