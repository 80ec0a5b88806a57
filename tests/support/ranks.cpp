#include "tests/support/ranks.hpp"

#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "collectives/thread_communicator.hpp"

namespace keyshard::testing {

void run_ranks(int ranks, int threads,
               const std::function<void(Communicator<Cpu>&, Stream<Cpu>&)>& body) {
  auto communicators = make_thread_communicators(ranks);
  std::mutex mutex;
  std::exception_ptr first;
  std::vector<std::thread> running;
  for (auto& communicator : communicators) {
    running.emplace_back([&, rank = communicator.get()] {
      try {
        Stream<Cpu> stream(threads, 0);  // all threads, however little the work
        body(*rank, stream);
      } catch (const std::exception& error) {
        {
          const std::lock_guard lock(mutex);
          first = first ? first : std::current_exception();
        }
        rank->abort(error.what(), 1);
      }
    });
  }
  for (std::thread& thread : running) {
    thread.join();
  }
  if (first) {
    std::rethrow_exception(first);
  }
}

}  // namespace keyshard::testing
