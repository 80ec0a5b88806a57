#include "launch/bench/machine.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "runtime/memory_pool.hpp"

namespace keyshard {
namespace {

/// The value behind "NAME:" in a file of such lines; empty where there is none.
std::string named_line(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (line.starts_with(name) && colon != std::string::npos) {
      const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
      const std::size_t end = line.find_last_not_of(" \t", colon - 1);
      if (line.substr(0, end + 1) == name) {
        return begin == std::string::npos ? "" : line.substr(begin);
      }
    }
  }
  return "";
}

std::int64_t bytes_of(const char* path, const std::string& name) {
  std::istringstream line(named_line(path, name));
  std::int64_t kilobytes = 0;
  line >> kilobytes;
  return kilobytes * 1024;
}

struct CpuTimes {
  std::int64_t total = 0;
  std::int64_t idle = 0;
};

CpuTimes cpu_times() {
  std::ifstream file("/proc/stat");
  std::string word;
  file >> word;
  CpuTimes times;
  std::int64_t value = 0;
  for (int i = 0; i < 8 && file >> value; ++i) {
    times.total += value;
    times.idle += i == 3 || i == 4 ? value : 0;
  }
  return times;
}

}  // namespace

std::string cpu_model() {
  const std::string name = named_line("/proc/cpuinfo", "model name");
  const std::string model = named_line("/proc/cpuinfo", "model");
  return (name.empty() ? "unknown" : name) + " model " + (model.empty() ? "?" : model);
}

std::int64_t resident_bytes() { return bytes_of("/proc/self/status", "VmRSS"); }

std::int64_t peak_resident_bytes() { return bytes_of("/proc/self/status", "VmHWM"); }

void reset_peak_resident() { std::ofstream("/proc/self/clear_refs") << "5"; }

std::int64_t available_bytes() { return bytes_of("/proc/meminfo", "MemAvailable"); }

void warm_memory(std::int64_t bytes) {
  constexpr std::int64_t kPage = 4096;
  bytes = std::min(bytes, available_bytes() / 2);
  auto* memory = static_cast<char*>(map_memory<Cpu>(static_cast<std::size_t>(bytes)));
  for (std::int64_t at = 0; at < bytes; at += kPage) {
    memory[at] = 1;
  }
  unmap_memory<Cpu>(memory, static_cast<std::size_t>(bytes));
}

double wait_until_quiet(double seconds, int patience) {
  double busy = 0;
  for (int look = 0; look < patience; ++look) {
    const CpuTimes before = cpu_times();
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    const CpuTimes after = cpu_times();
    const auto total = static_cast<double>(after.total - before.total);
    busy = total > 0 ? 1 - static_cast<double>(after.idle - before.idle) / total : 0;
    if (busy < 0.05) {
      break;
    }
  }
  return busy;
}

bool huge_malloc() {
  const char* tunables = std::getenv("GLIBC_TUNABLES");
  return tunables != nullptr && std::strstr(tunables, "hugetlb=1") != nullptr;
}

}  // namespace keyshard
