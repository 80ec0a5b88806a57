// The program as a user starts it: commands in a folder of one test, alone or under mpirun. A
// command runs to its end, or beside the test, which may then send signals to mpirun and its ranks.
#pragma once

#include <functional>
#include <map>
#include <string>

#include <gtest/gtest.h>
#include <sys/types.h>

#include "launch/commands.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {

/// How a command ended.
struct Ending {
  int code = -1;  ///< 128 + the signal that killed it; 124 where it did not end in time
  std::string out;
  std::string error;
};

/// A shell command that runs in a folder. The destructor kills the command and its ranks if they
/// still run.
class RunningCommand {
 public:
  /// Its output goes to the files NAME.out and NAME.error of the folder.
  RunningCommand(const ScratchFolder& folder, const std::string& command,
                 const std::string& name = "command");
  ~RunningCommand();
  RunningCommand(const RunningCommand&) = delete;
  RunningCommand& operator=(const RunningCommand&) = delete;

  /// The process of the command itself; with launch/mpirun.sh this is mpirun.
  pid_t process() const { return process_; }

  /// Waits until `count` ranks run and returns their processes by rank; fewer after half a minute.
  std::map<int, pid_t> ranks(int count);

  void signal(int number) const;

  /// Waits until the command and all ranks that ranks() has found have ended, for at most
  /// `seconds`.
  Ending wait(double seconds = 100);

 private:
  void kill_all() const;

  const ScratchFolder& folder_;
  std::string name_;
  pid_t process_;
  std::map<int, pid_t> ranks_;
  bool ended_ = false;
};

/// Waits until a condition holds, for at most `seconds`; whether it holds.
bool wait_until(const std::function<bool()>& condition, double seconds = 60);

/// How often `part` is in a text.
std::size_t count(const std::string& text, const std::string& part);

class ProgramTest : public ::testing::Test {
 protected:
  /// Runs "PREFIX keyshard ARGUMENTS" in the folder of this test.
  Ending run(const std::string& arguments, const std::string& prefix = "");
  /// Runs any command in that folder.
  Ending shell(const std::string& command);

  /// Starts "keyshard ARGUMENTS" on some ranks of mpirun.
  std::unique_ptr<RunningCommand> start(const std::string& arguments, int ranks,
                                        const std::string& name = "command");

  static std::string mpirun(int ranks);

  bool exists(const std::string& name) const;

  /// The state digest at the end of what a training has printed.
  static std::string digest_in(const std::string& out);

  /// The state digest that `keyshard digest` prints for a checkpoint or the folder of a job; the
  /// error where it prints none.
  std::string digest_of(const std::string& path);

  /// The step of the newest committed checkpoint of a job's folder; -1 where there is none.
  std::int64_t newest_step(const std::string& output) const;

  /// Names in the folder of a job's checkpoints, sorted.
  std::vector<std::string> checkpoints(const std::string& output) const;

  ScratchFolder folder_;
};

/// A job of a few milliseconds a step: a logistic regression on generated data.
extern const char* const kSmallJob;

}  // namespace keyshard::testing
