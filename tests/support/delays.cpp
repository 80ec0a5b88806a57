#include "tests/support/delays.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

namespace keyshard::testing {
namespace {

constexpr int kSignal = SIGUSR2;
constexpr int kLongest = 300;  // microseconds

void sleep_as_told(int, siginfo_t* info, void*) {
  const int error = errno;
  const timespec time{0, info->si_value.sival_int * 1000L};
  ::nanosleep(&time, nullptr);
  errno = error;
}

std::vector<pid_t> threads_of_process() {
  std::vector<pid_t> threads;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    threads.push_back(static_cast<pid_t>(std::atol(entry.path().filename().c_str())));
  }
  return threads;
}

}  // namespace

void DelayedCommunicator::sleep() {
  std::this_thread::sleep_for(std::chrono::microseconds(random_() % kLongest));
}

template <class Collective>
void DelayedCommunicator::delay_around(const Collective& collective) {
  sleep();
  collective();
  sleep();
}

void DelayedCommunicator::all_to_all(Stream<Cpu>& stream, Span<const std::byte> send,
                                     Span<const std::int64_t> send_bytes, Span<std::byte> receive,
                                     Span<const std::int64_t> receive_bytes) {
  delay_around([&] {
    ForwardingCommunicator::all_to_all(stream, send, send_bytes, receive, receive_bytes);
  });
}

void DelayedCommunicator::all_to_all_values(Span<const std::int64_t> send,
                                            Span<std::int64_t> receive) {
  delay_around([&] { ForwardingCommunicator::all_to_all_values(send, receive); });
}

void DelayedCommunicator::all_gather(Span<const std::byte> mine, Span<std::byte> all) {
  delay_around([&] { ForwardingCommunicator::all_gather(mine, all); });
}

void DelayedCommunicator::broadcast(Span<std::byte> inout, int root) {
  delay_around([&] { ForwardingCommunicator::broadcast(inout, root); });
}

void DelayedCommunicator::all_reduce(Span<std::int64_t> inout, Reduction operation) {
  delay_around([&] { ForwardingCommunicator::all_reduce(inout, operation); });
}

void DelayedCommunicator::all_reduce(Span<double> inout, Reduction operation) {
  delay_around([&] { ForwardingCommunicator::all_reduce(inout, operation); });
}

void DelayedCommunicator::barrier() {
  delay_around([&] { ForwardingCommunicator::barrier(); });
}

ThreadDelays::ThreadDelays(unsigned seed) {
  struct sigaction action = {};
  action.sa_sigaction = sleep_as_told;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  ::sigaction(kSignal, &action, nullptr);
  thread_ = std::thread([this, seed] { run(seed); });
}

ThreadDelays::~ThreadDelays() {
  ending_ = true;
  thread_.join();
}

void ThreadDelays::run(unsigned seed) {
  std::mt19937 random(seed);
  const auto self = static_cast<pid_t>(::syscall(SYS_gettid));
  while (!ending_) {
    const std::vector<pid_t> threads = threads_of_process();
    const pid_t thread = threads[random() % threads.size()];
    siginfo_t info = {};
    info.si_signo = kSignal;
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_int = static_cast<int>(random() % kLongest);
    if (thread != self &&
        ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), thread, kSignal, &info) == 0) {
      ++count_;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % kLongest));
  }
}

}  // namespace keyshard::testing
