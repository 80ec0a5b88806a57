#include "launch/job_file.hpp"

#include <filesystem>

#include "launch/toml_file.hpp"

namespace keyshard {
namespace {

namespace fs = std::filesystem;

std::string folder_of(const std::string& path) {
  std::error_code error;
  const bool lies_there = fs::is_regular_file(path, error) && !path.starts_with("/dev/");
  return lies_there ? fs::path(path).parent_path().string() : "";
}

}  // namespace

JobConfig read_job_config(const std::string& path, const std::vector<std::string>& assignments,
                          const OwnRules& rules) {
  return read_job_config(read_toml(path), folder_of(path), assignments, rules);
}

JobConfig read_job_config(SettingValue tree, const std::string& folder,
                          const std::vector<std::string>& assignments, const OwnRules& rules) {
  for (const std::string& assignment : assignments) {
    set_value(tree, assignment);
  }
  return job_config_of(tree, folder, rules);
}

}  // namespace keyshard
