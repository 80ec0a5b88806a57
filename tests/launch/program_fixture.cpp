#include "tests/launch/program_fixture.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/checkpoint_folder.hpp"

namespace keyshard::testing {
namespace {

/// What a file of a process says; less, and no error, where the process ends meanwhile.
std::string content(const std::filesystem::path& path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

/// The parent of a process; 0 where it has gone or is a zombie.
pid_t parent_of(const std::filesystem::path& process) {
  const std::string status = content(process / "stat");
  const std::size_t name_end = status.rfind(") ");
  if (name_end == std::string::npos || status[name_end + 2] == 'Z') {
    return 0;
  }
  return static_cast<pid_t>(std::atol(status.c_str() + name_end + 4));
}

/// The rank that mpirun has given to a process; -1: none.
int rank_of(const std::filesystem::path& process) {
  const std::string environment = '\0' + content(process / "environ");
  const std::string name = std::string(1, '\0') + "OMPI_COMM_WORLD_RANK=";
  const std::size_t at = environment.find(name);
  return at == std::string::npos ? -1 : std::atoi(environment.c_str() + at + name.size());
}

std::map<int, pid_t> ranks_under(pid_t mpirun) {
  std::map<int, pid_t> ranks;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto number = static_cast<pid_t>(std::atol(entry.path().filename().c_str()));
    if (number > 0 && parent_of(entry.path()) == mpirun) {
      const int rank = rank_of(entry.path());
      if (rank >= 0) {
        ranks[rank] = number;
      }
    }
  }
  return ranks;
}

bool lives(pid_t process) { return parent_of(fmt::format("/proc/{}", process)) != 0; }

}  // namespace

const char* const kSmallJob = R"(config_version = 1
[job]
batch_size = 256
slices = 4
threads = 1
report_every_steps = 2
[data]
format = "generated"
[data.generator]
records = 2000
valid_records = 300
features = 3
dense = 1
vocabulary = 50
[model]
type = "logistic"
[checkpoint]
at_end = false
)";

RunningCommand::RunningCommand(const ScratchFolder& folder, const std::string& command,
                               const std::string& name)
    : folder_(folder), name_(name) {
  const std::string line = fmt::format("cd '{}' && exec {} > {}.out 2> {}.error < /dev/null",
                                       folder.path(""), command, name, name);
  process_ = ::fork();
  if (process_ == 0) {
    ::setpgid(0, 0);
    ::execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    ::_exit(127);
  }
}

RunningCommand::~RunningCommand() {
  if (!ended_) {
    kill_all();
    ::waitpid(process_, nullptr, 0);
  }
}

void RunningCommand::kill_all() const {
  for (const auto& [rank, process] : ranks_under(process_)) {
    ::kill(process, SIGKILL);
  }
  ::kill(-process_, SIGKILL);
}

std::map<int, pid_t> RunningCommand::ranks(int count) {
  wait_until(
      [&] {
        ranks_ = ranks_under(process_);
        return static_cast<int>(ranks_.size()) >= count;
      },
      30);
  return ranks_;
}

void RunningCommand::signal(int number) const { ::kill(process_, number); }

Ending RunningCommand::wait(double seconds) {
  int status = 0;
  Ending ending;
  const bool in_time = wait_until(
      [&] {
        ended_ = ended_ || ::waitpid(process_, &status, WNOHANG) == process_;
        return ended_ && std::none_of(ranks_.begin(), ranks_.end(),
                                      [](const auto& rank) { return lives(rank.second); });
      },
      seconds);
  if (!in_time) {
    kill_all();
    for (const auto& [rank, process] : ranks_) {
      ::kill(process, SIGKILL);
    }
    ending.code = 124;
  } else {
    ending.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  ending.out = folder_.read(name_ + ".out");
  ending.error = folder_.read(name_ + ".error");
  return ending;
}

bool wait_until(const std::function<bool()>& condition, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) {
    ++found;
  }
  return found;
}

Ending ProgramTest::run(const std::string& arguments, const std::string& prefix) {
  return shell(prefix + " " KEYSHARD_PROGRAM " " + arguments);
}

Ending ProgramTest::shell(const std::string& command) {
  return RunningCommand(folder_, command).wait();
}

std::unique_ptr<RunningCommand> ProgramTest::start(const std::string& arguments, int ranks,
                                                   const std::string& name) {
  return std::make_unique<RunningCommand>(
      folder_, mpirun(ranks) + " " KEYSHARD_PROGRAM " " + arguments, name);
}

std::string ProgramTest::mpirun(int ranks) {
  return fmt::format("{} -n {}", KEYSHARD_MPIRUN, ranks);
}

bool ProgramTest::exists(const std::string& name) const {
  return std::filesystem::exists(folder_.path(name));
}

std::string ProgramTest::digest_in(const std::string& out) {
  const std::string before = "state digest ";
  const std::size_t at = out.rfind(before);
  return at == std::string::npos ? "none in: " + out : out.substr(at + before.size(), 32);
}

std::string ProgramTest::digest_of(const std::string& path) {
  const Ending digest = run("digest " + path);
  return digest.code == kExitDone ? digest.out.substr(0, 32) : digest.error;
}

std::int64_t ProgramTest::newest_step(const std::string& output) const {
  LocalFileSystem files;
  const auto steps = committed_steps(files, folder_.path(output + "/checkpoints"));
  return steps.empty() ? -1 : steps.back();
}

std::vector<std::string> ProgramTest::checkpoints(const std::string& output) const {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder_.path(output + "/checkpoints"))) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace keyshard::testing
