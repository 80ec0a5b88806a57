#include "launch/job_config.hpp"

#include <algorithm>
#include <filesystem>

#include "launch/toml_file.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kConfigVersion = 1;

void write_text(const SettingValue& value, const std::string& path, std::string& out) {
  struct Writer {
    const std::string& path;
    std::string& out;

    void operator()(std::monostate) const {}

    void operator()(bool b) const { out += fmt::format("{} = {}\n", path, b); }

    void operator()(std::int64_t i) const { out += fmt::format("{} = {}\n", path, i); }

    void operator()(double d) const { out += fmt::format("{} = {}\n", path, d); }

    void operator()(const std::string& s) const { out += fmt::format("{} = \"{}\"\n", path, s); }

    void operator()(const SettingValue::Array& values) const {
      for (std::size_t i = 0; i < values.size(); ++i) {
        write_text(values[i], fmt::format("{}[{}]", path, i), out);
      }
    }

    void operator()(const SettingValue::Table& values) const {
      for (const auto& [name, entry] : values) {
        write_text(entry, path.empty() ? name : path + "." + name, out);
      }
    }
  };

  std::visit(Writer{path, out}, value.value);
}

}  // namespace

std::string config_text(const SettingValue& tree) {
  std::string out;
  write_text(tree, "", out);
  return out;
}

JobConfig job_config_of(SettingValue tree, const std::string& folder) {
  JobConfig config;
  config.tree = std::move(tree);
  const auto problems = std::make_shared<SettingProblems>();
  Settings root(config.tree, "", problems);
  const bool versioned = root.has("config_version");
  const std::int64_t version = root.integer("config_version", kConfigVersion);
  if (!versioned || version != kConfigVersion) {
    root.problem("config_version", fmt::format("expected {}: found {}", kConfigVersion,
                                               versioned ? std::to_string(version) : "none"));
  }
  config.data = read_data_options(root.table("data"), folder, embedding_column_keys());
  const std::vector<std::string> features = config.data.schema().features;
  config.job = read_job_options(root.table("job"), features);
  config.model = read_model_options(root.table("model"));
  config.checkpoint = read_checkpoint_options(root.table("checkpoint"));
  config.embedding =
      read_embedding_options(root, features, column_groups(config.model.type), config.job.seed);
  root.finish();
  require(problems->messages.empty(), Kind::invalid_argument, "{}",
          fmt::join(problems->sorted(), "\n"));
  return config;
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

JobConfig read_job_config(const std::string& path, const std::vector<std::string>& assignments) {
  SettingValue tree = read_toml(path);
  for (const std::string& assignment : assignments) {
    set_value(tree, assignment);
  }
  return job_config_of(std::move(tree), std::filesystem::path(path).parent_path().string());
}

}  // namespace keyshard
