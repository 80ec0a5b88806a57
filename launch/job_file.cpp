#include "launch/job_file.hpp"

#include <filesystem>

#include "launch/toml_file.hpp"

namespace keyshard {

JobConfig read_job_config(const std::string& path, const std::vector<std::string>& assignments,
                          const OwnRules& rules) {
  return read_job_config(read_toml(path), std::filesystem::path(path).parent_path().string(),
                         assignments, rules);
}

JobConfig read_job_config(SettingValue tree, const std::string& folder,
                          const std::vector<std::string>& assignments, const OwnRules& rules) {
  for (const std::string& assignment : assignments) {
    set_value(tree, assignment);
  }
  return job_config_of(tree, folder, rules);
}

}  // namespace keyshard
