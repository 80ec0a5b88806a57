#include "launch/start_watch.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <tuple>

#include <fmt/format.h>
#include <unistd.h>

#include "launch/commands.hpp"
#include "runtime/joined.hpp"

namespace keyshard {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBeat{100};
/// A beat that comes later than this shows that the process was stopped.
constexpr std::chrono::milliseconds kStopped{1000};
/// How long a rank waits for a lower one of its machine to speak, and for those of other machines.
constexpr std::chrono::seconds kWordOfOthers{1};

/// What a file of a process says; less, and no error, where the process ends meanwhile.
std::string content_of(const std::filesystem::path& path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

/// A variable in the environment of a process, as /proc shows it.
std::optional<std::string> variable(const std::string& environment, const std::string& name) {
  const std::string before = name + "=";
  std::size_t at = environment.starts_with(before) ? 0 : environment.find('\0' + before);
  if (at == std::string::npos) {
    return std::nullopt;
  }
  at = environment.find('=', at) + 1;
  return environment.substr(at, environment.find('\0', at) - at);
}

/// Whether /proc/PID/stat says that a process is stopped; its name may hold anything.
bool is_stopped(const std::string& stat) {
  const std::size_t end = stat.rfind(") ");
  const char state = end == std::string::npos ? ' ' : stat[end + 2];
  return state == 'T' || state == 't';
}

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

std::string numbers_of(const std::vector<LocalRank>& ranks) {
  std::vector<std::int64_t> numbers;
  for (const LocalRank& rank : ranks) {
    numbers.push_back(rank.rank);
  }
  return joined(numbers, ", ");
}

/// The ranks of the job that are not `here`; of many, how many.
std::string ranks_elsewhere(const LaunchedJob& job, const std::vector<LocalRank>& here) {
  std::vector<std::int64_t> others;
  for (int rank = 0; rank < job.ranks; ++rank) {
    if (std::none_of(here.begin(), here.end(),
                     [&](const LocalRank& l) { return l.rank == rank; })) {
      others.push_back(rank);
    }
  }
  return others.size() <= 16 ? joined(others, ", ") : fmt::format("{} others", others.size());
}

}  // namespace

std::optional<LaunchedJob> launched_job() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  const char* ranks = std::getenv("OMPI_COMM_WORLD_SIZE");
  const char* local = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
  const char* name = std::getenv("PMIX_NAMESPACE");
  if (rank == nullptr || ranks == nullptr) {
    return std::nullopt;
  }
  return LaunchedJob{std::atoi(rank), std::atoi(ranks), local == nullptr ? 1 : std::atoi(local),
                     name == nullptr ? "" : name};
}

std::vector<LocalRank> local_ranks(const LaunchedJob& job) {
  std::vector<LocalRank> ranks;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc", error), end; entry != end;
       entry.increment(error)) {
    const std::string number = entry->path().filename().string();
    if (job.name.empty() || number.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    const std::string environment = content_of(entry->path() / "environ");
    const std::optional<std::string> rank = variable(environment, "OMPI_COMM_WORLD_RANK");
    if (rank && variable(environment, "PMIX_NAMESPACE") == job.name) {
      ranks.push_back({std::atoi(rank->c_str()), static_cast<pid_t>(std::atoi(number.c_str())),
                       is_stopped(content_of(entry->path() / "stat"))});
    }
  }
  std::sort(ranks.begin(), ranks.end(), [](const LocalRank& a, const LocalRank& b) {
    return std::tuple(a.rank, !a.stopped, a.process) < std::tuple(b.rank, !b.stopped, b.process);
  });
  // A rank may have several processes, as a shell that has started the program.
  ranks.erase(std::unique(ranks.begin(), ranks.end(),
                          [](const LocalRank& a, const LocalRank& b) { return a.rank == b.rank; }),
              ranks.end());
  return ranks;
}

std::string why_not_met(const LaunchedJob& job, const std::vector<LocalRank>& here,
                        const std::string& host, double seconds) {
  const std::string begin = fmt::format(
      "the {} ranks have not met within {:g} s (job.start_seconds)", job.ranks, seconds);
  for (const LocalRank& rank : here) {
    if (rank.stopped) {
      return fmt::format("{}: rank {} on host {} is stopped (process {})", begin, rank.rank, host,
                         rank.process);
    }
  }
  const std::string present =
      here.empty() ? fmt::format("rank {} on host {} is ready", job.rank, host)
                   : fmt::format("on host {} run the ranks {}", host, numbers_of(here));
  if (!here.empty() && std::ssize(here) < job.local_ranks) {
    return fmt::format("{}: {}, but not all {} of this host; missing is one of the ranks {}", begin,
                       present, job.local_ranks, ranks_elsewhere(job, here));
  }
  if (job.ranks > job.local_ranks) {
    return fmt::format(
        "{}: {}; missing is one of the ranks {}, on another host that does not say this", begin,
        present, ranks_elsewhere(job, here));
  }
  return fmt::format("{}: {}, and none of them is stopped", begin, present);
}

StartWatch::StartWatch(double seconds) {
  const std::optional<LaunchedJob> job = launched_job();
  if (job && job->ranks > 1 && seconds > 0) {
    job_ = *job;
    thread_ = std::thread([this, seconds] { watch(seconds); });
  }
}

StartWatch::~StartWatch() { end(); }

void StartWatch::end() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ended_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void StartWatch::watch(double seconds) {
  // A clock that counts only while this process runs, and begins again where the process was
  // stopped: such a rank blames nobody.
  Clock::duration now{};
  auto before = Clock::now();
  std::unique_lock lock(mutex_);
  while (!ending_) {
    ended_.wait_for(lock, kBeat, [&] { return ending_; });
    const auto after = Clock::now();
    now = after - before > kStopped ? Clock::duration{} : now + (after - before);
    before = after;
    if (!ending_ && std::chrono::duration<double>(now).count() >= seconds) {
      give_up(seconds);
    }
  }
}

void StartWatch::give_up(double seconds) const {
  const std::vector<LocalRank> here = local_ranks(job_);
  const bool lower_speaks = std::any_of(here.begin(), here.end(), [&](const LocalRank& other) {
    return other.rank < job_.rank && !other.stopped;
  });
  if (lower_speaks) {
    std::this_thread::sleep_for(2 * kWordOfOthers);
  }
  fmt::print(stderr, "error: {}\n", why_not_met(job_, here, host_name(), seconds));
  std::fflush(stderr);
  std::this_thread::sleep_for(kWordOfOthers);
  ::_exit(kExitWatchdog);
}

}  // namespace keyshard
