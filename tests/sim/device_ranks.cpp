#include "tests/sim/device_ranks.hpp"

#include <thread>

#include <gtest/gtest.h>

#include "collectives/exchange.hpp"
#include "collectives/nccl_communicator.hpp"
#include "collectives/staged_communicator.hpp"
#include "collectives/thread_communicator.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each_cuda.hpp"
#include "tests/collectives/exchange_items.hpp"
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

namespace {

std::vector<std::int64_t> negated(std::vector<std::int64_t> numbers) {
  for (std::int64_t& number : numbers) {
    number = -number;
  }
  return numbers;
}

}  // namespace

void exchange_between_kernels(Communicator<Cuda>& communicator, Stream<Cuda>& stream,
                              unsigned seed) {
  const Counts counts = random_counts(static_cast<std::size_t>(communicator.size()), seed);
  const auto rank = static_cast<std::size_t>(communicator.rank());
  const Exchange<Cuda> exchange(communicator, counts[rank]);
  // Each buffer is given away, and released while the exchange that reads it is queued.
  Buffer<std::int64_t, Cuda> send = to_device(stream, negated(sent_by(counts, rank, 1)));
  for_each(stream, send.size(), Negate{send.data()});
  Buffer<std::int64_t, Cuda> received = exchange.forward(stream, std::move(send));
  const std::vector<std::int64_t> there = to_host(stream, received);
  for_each(stream, received.size(), Negate{received.data()});
  Buffer<std::int64_t, Cuda> back = exchange.backward(stream, std::move(received));
  for_each(stream, back.size(), Negate{back.data()});
  EXPECT_EQ(there, received_by(counts, rank, 1));
  EXPECT_EQ(to_host(stream, back), sent_by(counts, rank, 1));
}

}  // namespace keyshard::testing
