#include "launch/process.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <thread>

#include <fmt/format.h>

#include "collectives/mpi_session.hpp"
#include "collectives/texts.hpp"
#include "launch/job_file.hpp"
#include "launch/training/models/numerics.hpp"
#include "runtime/error.hpp"
#include "runtime/shown.hpp"
#include "runtime/thread_pool.hpp"

namespace keyshard {
namespace {

/// How long other ranks wait for rank 0 to show an error first.
constexpr std::chrono::seconds kFirstWord{3};

const Error* as_error(const std::exception& error) { return dynamic_cast<const Error*>(&error); }

/// Whether the error is about what the user gave, so that its message needs no place in the source.
bool is_users(Kind kind) {
  return kind == Kind::invalid_argument || kind == Kind::bad_input || kind == Kind::not_built ||
         kind == Kind::corrupt_data || kind == Kind::non_finite || kind == Kind::other_bits;
}

std::string first_difference(const std::string& mine, const std::string& theirs) {
  std::istringstream a(mine), b(theirs);
  std::string left, right;
  for (;;) {
    const bool more_left = static_cast<bool>(std::getline(a, left)),
               more_right = static_cast<bool>(std::getline(b, right));
    if (!more_left && !more_right) {
      return "nothing";
    }
    if (left != right || more_left != more_right) {
      return fmt::format("\"{}\" and \"{}\"", more_left ? left : "(end)",
                         more_right ? right : "(end)");
    }
  }
}

/// The rank that a launcher has given to this process; null without one.
const char* rank_of_launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"}) {
    if (const char* rank = std::getenv(name)) {
      return rank;
    }
  }
  return nullptr;
}

}  // namespace

int launched_rank() {
  const char* rank = rank_of_launcher();
  return rank == nullptr ? 0 : std::atoi(rank);
}

int exit_code_of(const std::exception& error) {
  const Error* own = as_error(error);
  if (own == nullptr) {
    return kExitFailure;
  }
  switch (own->kind()) {
    case Kind::invalid_argument:
    case Kind::bad_input:
    case Kind::not_built:
      return kExitUsage;
    case Kind::corrupt_data:
      return kExitCheckpoint;
    default:
      return kExitFailure;
  }
}

void show_error(const std::exception& error, int rank, int ranks) {
  const Error* own = as_error(error);
  if (own != nullptr && own->kind() == Kind::communication &&
      std::string_view(own->text()).starts_with("rank ")) {
    return;  // a peer has failed and says why
  }
  if (rank > 0) {
    std::this_thread::sleep_for(kFirstWord);
  }
  const std::string text = own != nullptr && is_users(own->kind()) ? own->text() : error.what();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    // A vote has found the rank that failed, and put it in front.
    const bool named = line.starts_with("rank ");
    line = ranks == 1 && line.starts_with("rank 0: ") ? line.substr(8) : line;
    fmt::print(stderr, "{}\n",
               printable(ranks > 1 && !named ? fmt::format("error: rank {}: {}", rank, line)
                                             : "error: " + line));
  }
  std::fflush(stderr);
}

int with_ranks(const std::function<int(Communicator<Cpu>&)>& body) {
  return with_ranks(JobOptions().start_seconds,
                    [&](Communicator<Cpu>& communicator, StartWatch& start) {
                      communicator.barrier();
                      start.end();
                      return body(communicator);
                    });
}

double start_seconds_of(const JobCommand& command) {
  double seconds = JobOptions().start_seconds;
  constexpr std::string_view kKey = "job.start_seconds=";
  for (const std::string& assignment : command.assignments) {
    if (assignment.starts_with(kKey)) {
      seconds = std::atof(assignment.c_str() + kKey.size());
    }
  }
  return seconds;
}

int with_ranks(double start_seconds,
               const std::function<int(Communicator<Cpu>&, StartWatch&)>& body) {
  if (rank_of_launcher() == nullptr) {
    // One process alone has nobody to share files with, and these files of MPI are larger than some
    // limits of the size of files allow.
    ::setenv("PMIX_MCA_gds", "hash", 0);
  }
  StartWatch start(start_seconds);
  MpiSession session;
  const auto world = session.world();
  try {
    const int code = body(*world, start);
    world->barrier();
    return code;
  } catch (const std::exception& error) {
    show_error(error, world->rank(), world->size());
    if (world->size() > 1) {
      world->abort(error.what(), exit_code_of(error));
    }
    return exit_code_of(error);
  }
}

JobConfig configure(const JobCommand& command) {
  JobConfig config = read_job_config(command.config, command.assignments);
  apply_options(command, config);
  return config;
}

void apply_options(const JobCommand& command, JobConfig& config) {
  if (!command.output.empty()) {
    config.job.output = command.output;
    config.values["job.output"] = {command.output, "--output"};
  }
  if (command.threads >= 0) {
    config.job.threads = command.threads;
  }
  config.data.index_folder = config.job.output;
}

void check_same_config(Communicator<Cpu>& communicator, const JobConfig& config,
                       const ResolvedSettings& options) {
  ResolvedSettings started = config.values;
  started.insert(options.begin(), options.end());
  const std::vector<std::string> texts = gather_texts(communicator, config_text(started));
  for (std::size_t rank = 1; rank < texts.size(); ++rank) {
    require(texts[rank] == texts[0], Kind::invalid_argument,
            "expected the same configuration on all ranks: ranks 0 and {} have {}", rank,
            first_difference(texts[0], texts[rank]));
  }
}

void check_same_numerics(Communicator<Cpu>& communicator) {
  const std::vector<std::string> prints = gather_texts(communicator, numerics_fingerprint());
  for (std::size_t rank = 1; rank < prints.size(); ++rank) {
    require(prints[rank] == prints[0], Kind::invalid_argument,
            "expected the same numerics on all ranks: rank 0 has {}, rank {} has {}; job.numerics "
            "= \"avx2\" may agree",
            prints[0], rank, prints[rank]);
  }
}

std::unique_ptr<Watchdog> watch_ranks(Communicator<Cpu>& communicator, double seconds,
                                      StartWatch& start) {
  if (communicator.size() == 1 || seconds <= 0) {
    communicator.barrier();
    start.end();
    return nullptr;
  }
  WatchdogOptions options;
  options.limits = {seconds, 10 * seconds};
  options.beat_ms = static_cast<int>(std::clamp(seconds * 1000 / 8, 20.0, 250.0));
  auto watchdog = std::make_unique<Watchdog>(communicator.duplicate(), communicator.progress(),
                                             options, [&communicator](const std::string& message) {
                                               fmt::print(stderr, "error: {} (seen by rank {})\n",
                                                          message, communicator.rank());
                                               std::fflush(stderr);
                                               communicator.abort(message, kExitWatchdog);
                                             });
  start.end();
  return watchdog;
}

int threads_of(Communicator<Cpu>& communicator, const JobConfig& config) {
  if (config.job.threads > 0) {
    return static_cast<int>(config.job.threads);
  }
  const ThreadCount count = default_threads(communicator.local_size());
  if (count.limited_by_mask && communicator.rank() == 0) {
    fmt::print(stderr,
               "warning: {} of {} cores are allowed to this process, so a rank has {} threads; "
               "mpirun --bind-to none gives all\n",
               count.affinity, count.cores, count.threads);
  }
  if (count.limited_by_quota && communicator.rank() == 0) {
    fmt::print(
        stderr,
        "warning: the control group of this process allows {:g} of {} cores, so a rank has {} "
        "threads\n",
        count.quota, count.cores, count.threads);
  }
  return count.threads;
}

}  // namespace keyshard
