#include "runtime/cpu_quota.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace keyshard {
namespace {

std::string content(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Cores by a quota and a period in microseconds; 0: no limit.
double cores_of(double quota, double period) {
  return quota > 0 && period > 0 ? quota / period : 0;
}

/// Of version 2: "50000 100000", or "max 100000" without a limit.
double limit_of(const std::string& folder) {
  std::istringstream text(content(folder + "/cpu.max"));
  double quota = 0, period = 0;
  text >> quota >> period;
  return cores_of(quota, period);
}

/// Of version 1: a quota of -1 is no limit.
double old_limit_of(const std::string& folder) {
  std::istringstream quota_text(content(folder + "/cpu.cfs_quota_us"));
  std::istringstream period_text(content(folder + "/cpu.cfs_period_us"));
  double quota = 0, period = 0;
  quota_text >> quota;
  period_text >> period;
  return cores_of(quota, period);
}

/// The least limit of a group and of all groups around it.
double least_limit(const std::string& mount, std::string group,
                   double (*limit)(const std::string&)) {
  double least = 0;
  for (;;) {
    const double found = limit(mount + group);
    least = found > 0 && (least == 0 || found < least) ? found : least;
    if (group.empty()) {
      return least;
    }
    group.resize(std::min(group.rfind('/'), group.size()));
  }
}

}  // namespace

double cpu_quota(const std::string& groups, const std::string& mount) {
  double least = 0;
  std::istringstream lines(groups);
  // "NUMBER:CONTROLLERS:/GROUP"; version 2 has no controllers.
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) {
      continue;
    }
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    std::string group = line.substr(second + 1);
    group = group == "/" ? "" : group;
    const double found = controllers == ",," ? least_limit(mount, group, limit_of)
                         : controllers.find(",cpu,") != std::string::npos
                             ? least_limit(mount + "/cpu", group, old_limit_of)
                             : 0;
    least = found > 0 && (least == 0 || found < least) ? found : least;
  }
  return least;
}

double cpu_quota() { return cpu_quota(content("/proc/self/cgroup"), "/sys/fs/cgroup"); }

}  // namespace keyshard
