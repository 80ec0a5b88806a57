#include "tests/sim/device_ranks.hpp"

#include <thread>

#include <gtest/gtest.h>

#include "collectives/nccl_communicator.hpp"
#include "collectives/staged_communicator.hpp"
#include "collectives/thread_communicator.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {

std::unique_ptr<Communicator<Cuda>> make_communicator(Way way, Communicator<Cpu>& host) {
  return way == Way::nccl ? make_nccl_communicator(host, 0) : make_staged_communicator(host);
}

void run_device_ranks(Way way, int ranks, const DeviceRank& body) {
  run_ranks(ranks, 1, [&](Communicator<Cpu>& host, Stream<Cpu>&) {
    const auto communicator = make_communicator(way, host);
    Stream<Cuda> stream(0);
    body(*communicator, stream);
  });
}

std::vector<std::string> texts_of_device_ranks(Way way, int ranks, const DeviceRank& body) {
  auto hosts = make_thread_communicators(ranks);
  std::vector<std::string> texts(hosts.size());
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < hosts.size(); ++rank) {
    threads.emplace_back([&, rank] {
      try {
        const auto communicator = make_communicator(way, *hosts[rank]);
        Stream<Cuda> stream(0);
        body(*communicator, stream);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Kind::communication) << error.text();
        texts[rank] = error.text();
        hosts[rank]->abort(error.text(), 1);
      } catch (const Died&) {
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  return texts;
}

}  // namespace keyshard::testing
