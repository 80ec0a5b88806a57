// How many cores the control group of this process allows, as a container or a batch system sets
// it. Threads beyond that number would be stopped by the system in turns.
#pragma once

#include <string>

namespace keyshard {

/// The least number of cores that the control group of this process, or one around it, allows (a
/// fraction too: 0.5); 0 where none sets a limit or none can be read. Reads cpu.max of version 2,
/// and cpu.cfs_quota_us and cpu.cfs_period_us of version 1.
double cpu_quota();

/// The same, with the groups as a file like /proc/self/cgroup lists them, and the folder where
/// control groups are mounted (version 1: the folder that has `cpu` in it).
double cpu_quota(const std::string& groups, const std::string& mount);

}  // namespace keyshard
