#include <fmt/format.h>

#include "launch/commands.hpp"
#include "launch/process.hpp"
#include "launch/report/job_report.hpp"

namespace keyshard {

int run_report(const ReportCommand& command) {
  if (launched_rank() > 0) {
    return kExitDone;  // under mpirun one rank does the work
  }
  const std::string path = command.out.empty() ? report_path(command.folder) : command.out;
  write_report(command.folder, path);
  if (path != "-") {
    fmt::print("{}\n", path);
  }
  return kExitDone;
}

}  // namespace keyshard
