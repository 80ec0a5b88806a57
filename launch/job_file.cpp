#include "launch/job_file.hpp"

#include <filesystem>

#include "launch/toml_file.hpp"

namespace keyshard {

JobConfig read_job_config(const std::string& path, const std::vector<std::string>& assignments) {
  SettingValue tree = read_toml(path);
  for (const std::string& assignment : assignments) {
    set_value(tree, assignment);
  }
  return job_config_of(tree, std::filesystem::path(path).parent_path().string());
}

}  // namespace keyshard
