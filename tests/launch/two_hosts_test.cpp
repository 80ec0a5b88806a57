// A job over two hosts, which are network namespaces of this machine: in the middle one host dies,
// or the wire between them breaks; the other host resumes alone and reaches the same digest.
// Skipped without root or iproute2.
#include <csignal>
#include <sstream>

#include <fmt/format.h>
#include <unistd.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

constexpr double kWatchdogSeconds = 3;

/// Two hosts with a wire between them. The destructor removes both, with everything that runs
/// there.
class TwoHosts {
 public:
  explicit TwoHosts(const ScratchFolder& folder) : folder_(folder) {
    works_ = shell(
        "ip netns add {0} && ip netns add {1} && "
        "ip link add wire netns {0} type veth peer name wire netns {1} && "
        "ip -n {0} addr add {2}/24 dev wire && ip -n {1} addr add {3}/24 dev wire && "
        "ip -n {0} link set lo up && ip -n {1} link set lo up && "
        "ip -n {0} link set wire up && ip -n {1} link set wire up");
    folder.write("hosts", fmt::format("{} slots=1\n{} slots=1\n", kFirst, kSecond));
    // mpirun uses this in place of ssh: enters the other host, whatever host name is given.
    folder.write("agent.sh",
                 fmt::format("#!/bin/sh\nshift\nexec {} sh -c \"$*\"\n", entering(second_)));
    std::filesystem::permissions(folder.path("agent.sh"), std::filesystem::perms::owner_all);
  }

  ~TwoHosts() {
    for (const std::string& host : {first_, second_}) {
      kill_all_on(host);
      shell("ip netns del " + host);
    }
  }

  TwoHosts(const TwoHosts&) = delete;
  TwoHosts& operator=(const TwoHosts&) = delete;

  bool works() const { return works_; }

  /// Runs keyshard from the first host, on a rank of each host, as the ready scripts do.
  std::string on_both(const std::string& arguments) const {
    folder_.write(
        "script.sh",
        fmt::format(". {}/run_job.sh\nrun_job {} -n 2 --hostfile hosts --mca plm_rsh_agent "
                    "{} {} {}\n",
                    KEYSHARD_LAUNCH_DIR, KEYSHARD_MPIRUN, folder_.path("agent.sh"),
                    KEYSHARD_PROGRAM, arguments));
    return entering(first_) + " bash -eu script.sh";
  }

  std::string on_first(int ranks, const std::string& arguments) const {
    return fmt::format("{} {} -n {} {} {}", entering(first_), KEYSHARD_MPIRUN, ranks,
                       KEYSHARD_PROGRAM, arguments);
  }

  const std::string& first() const { return first_; }

  const std::string& second() const { return second_; }

  /// Programs named keyshard on a host.
  int programs_on(const std::string& host) const {
    int found = 0;
    for (const pid_t process : processes_on(host)) {
      std::ifstream name(fmt::format("/proc/{}/comm", process));
      std::string text;
      found += std::getline(name, text) && text == "keyshard";
    }
    return found;
  }

  void kill_all_on(const std::string& host) const {
    for (const pid_t process : processes_on(host)) {
      ::kill(process, SIGKILL);
    }
  }

  void cut_wire() const { shell("ip -n {0} link set wire down"); }

 private:
  static constexpr const char* kFirst = "10.213.7.1";
  static constexpr const char* kSecond = "10.213.7.2";

  /// The start of a command that enters the network of a host and takes its name.
  static std::string entering(const std::string& host) {
    return fmt::format("ip netns exec {0} unshare --uts sh -c 'hostname {0}; exec \"$@\"' sh",
                       host);
  }

  bool shell(const std::string& command) const {
    const std::string line = fmt::format(fmt::runtime(command), first_, second_, kFirst, kSecond);
    return RunningCommand(folder_, fmt::format("sh -c '{}'", line), "hosts").wait().code == 0;
  }

  std::vector<pid_t> processes_on(const std::string& host) const {
    const Ending list = RunningCommand(folder_, "ip netns pids " + host, "processes").wait();
    std::istringstream numbers(list.out);
    std::vector<pid_t> processes;
    for (pid_t process = 0; numbers >> process;) {
      processes.push_back(process);
    }
    return processes;
  }

  const ScratchFolder& folder_;
  const std::string first_ = fmt::format("keyshard-{}-a", ::getpid());
  const std::string second_ = fmt::format("keyshard-{}-b", ::getpid());
  bool works_ = false;
};

class TwoHostsTest : public ProgramTest {
 protected:
  void SetUp() override {
    folder_.write("job.toml", kSmallJob);
    if (!hosts_.works()) {
      GTEST_SKIP() << "needs root, iproute2 and leave to make network namespaces: "
                   << folder_.read("hosts.error");
    }
  }

  static std::string train(const std::string& output) {
    return fmt::format(
        "train job.toml --output {} --set job.epochs=1000000 --set checkpoint.every_steps=3 "
        "--set job.watchdog_seconds={} --resume latest",
        output, kWatchdogSeconds);
  }

  /// Starts a job on both hosts and waits until it has saved twice.
  std::unique_ptr<RunningCommand> start_on_both() {
    auto job = std::make_unique<RunningCommand>(folder_, hosts_.on_both(train("out")));
    EXPECT_TRUE(wait_until([&] { return newest_step("out") > 3; }))
        << folder_.read("command.error");
    EXPECT_EQ(hosts_.programs_on(hosts_.first()), 1);
    EXPECT_EQ(hosts_.programs_on(hosts_.second()), 1);
    return job;
  }

  /// Resumes on the first host alone, with another number of ranks, and expects the digest of a job
  /// that was never on two hosts.
  void expect_same_end_on_first() {
    const std::string steps = fmt::format(" --steps {}", newest_step("out") + 5);
    const Ending resumed = shell(hosts_.on_first(3, train("out") + steps));
    ASSERT_EQ(resumed.code, kExitDone) << resumed.error;
    EXPECT_NE(resumed.out.find("resumed from"), std::string::npos) << resumed.out;
    const Ending whole = run(train("whole") + steps);
    ASSERT_EQ(whole.code, kExitDone) << whole.error;
    EXPECT_EQ(digest_in(resumed.out), digest_in(whole.out));
  }

  const TwoHosts hosts_{folder_};
};

TEST_F(TwoHostsTest, OneDiesAndTheOtherGoesOnAlone) {
  const auto job = start_on_both();
  hosts_.kill_all_on(hosts_.second());
  const Ending ended = job->wait(60);
  EXPECT_NE(ended.code, kExitDone);
  EXPECT_NE(ended.code, 124) << ended.error;
  expect_same_end_on_first();
}

TEST_F(TwoHostsTest, ACutWireEndsTheRanksOfBothAndOneGoesOnAlone) {
  const auto job = start_on_both();
  hosts_.cut_wire();
  for (const std::string& host : {hosts_.first(), hosts_.second()}) {
    EXPECT_TRUE(wait_until([&] { return hosts_.programs_on(host) == 0; }, kWatchdogSeconds + 7))
        << host;
  }
  EXPECT_NE(folder_.read("command.error").find("error: rank 1 is stuck in phase"),
            std::string::npos)
      << folder_.read("command.error");
  // mpirun itself would wait for the other host for as long as TCP does, a quarter of an hour.
  EXPECT_EQ(job->wait(60).code, kExitWatchdog) << folder_.read("command.error");
  expect_same_end_on_first();
}

}  // namespace
}  // namespace keyshard::testing
