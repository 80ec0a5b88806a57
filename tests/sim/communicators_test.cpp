// Communicators of device data over ranks that are threads and share the simulated device: what any
// communicator does, exchanges of random counts with queues in any order, and folded sums.
#include <tuple>

#include "collectives/exchange.hpp"
#include "collectives/nccl_communicator.hpp"
#include "runtime/for_each_cuda.hpp"
#include "tests/collectives/communicator_checks.hpp"
#include "tests/collectives/exchange_items.hpp"
#include "tests/sim/device_ranks.hpp"
#include "tests/sim/sim_test.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

constexpr Way kWays[] = {Way::nccl, Way::staged};

template <class Param>
class SimTestWith : public SimTest, public ::testing::WithParamInterface<Param> {};

class DeviceRanks : public SimTestWith<std::tuple<RankCheck<Cuda>, Way, int>> {};

TEST_P(DeviceRanks, Hold) {
  const auto& [check, way, ranks] = GetParam();
  // Either order of queues, on other numbers of ranks.
  const sim::Queues queues = ranks % 2 == 0 ? sim::Queues::newest_first : sim::Queues::drawn;
  sim::reset_device({.seed = static_cast<std::uint64_t>(ranks), .queues = queues});
  run_device_ranks(way, ranks, check.run);
}

std::string name_of_case(const ::testing::TestParamInfo<DeviceRanks::ParamType>& info) {
  const auto& [check, way, ranks] = info.param;
  return fmt::format("{}_{}_On{}", check.name, name_of(way), ranks);
}

INSTANTIATE_TEST_SUITE_P(Communicator, DeviceRanks,
                         ::testing::Combine(::testing::ValuesIn(communicator_checks<Cuda>()),
                                            ::testing::ValuesIn(kWays),
                                            ::testing::ValuesIn(rank_counts({1, 2, 3, 4, 8}))),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(
    FoldedSum, DeviceRanks,
    ::testing::Combine(::testing::ValuesIn(folded_sum_checks<Cuda>()), ::testing::ValuesIn(kWays),
                       ::testing::ValuesIn(rank_counts({1, 2, 3, 4, 5, 6, 7, 8}))),
    name_of_case);

class ExchangesOfDeviceRanks : public SimTestWith<std::tuple<Way, int>> {};

std::string name_of_way(const ::testing::TestParamInfo<std::tuple<Way, int>>& info) {
  return fmt::format("{}_On{}", name_of(std::get<0>(info.param)), std::get<1>(info.param));
}

TEST_P(ExchangesOfDeviceRanks, OfRandomCountsComeThereAndBackBetweenKernels) {
  const auto& [way, ranks] = GetParam();
  for_seeds(20, [&, way = way, ranks = ranks](int seed) {
    run_device_ranks(way, ranks, [&](Communicator<Cuda>& communicator, Stream<Cuda>& stream) {
      exchange_between_kernels(communicator, stream, static_cast<unsigned>(seed));
    });
  });
}

TEST_P(ExchangesOfDeviceRanks, OfEqualCountsFollowEachOtherWithoutTheHost) {
  const auto& [way, ranks] = GetParam();
  for_seeds(20, [&, way = way, ranks = ranks](int) {
    const Counts counts(static_cast<std::size_t>(ranks),
                        std::vector<std::int64_t>(static_cast<std::size_t>(ranks), 3));
    run_device_ranks(way, ranks, [&](Communicator<Cuda>& communicator, Stream<Cuda>& stream) {
      const auto rank = static_cast<std::size_t>(communicator.rank());
      const Exchange<Cuda> exchange(communicator, counts[rank], counts[rank]);
      Buffer<std::int64_t, Cuda> items = to_device(stream, sent_by(counts, rank, 1));
      for (int round = 0; round < 2; ++round) {
        items = exchange.forward(stream, std::move(items));
        for_each(stream, items.size(), Negate{items.data()});
        items = exchange.backward(stream, std::move(items));
        for_each(stream, items.size(), Negate{items.data()});
      }
      EXPECT_EQ(to_host(stream, items), sent_by(counts, rank, 1));
    });
  });
}

TEST_P(ExchangesOfDeviceRanks, MayBeLargerThanWhatIsUnderWayAtOnce) {
  const auto& [way, ranks] = GetParam();
  run_device_ranks(way, ranks, [](Communicator<Cuda>& communicator, Stream<Cuda>& stream) {
    const auto all = static_cast<std::size_t>(communicator.size());
    Counts counts(all, std::vector<std::int64_t>(all, 0));
    for (std::size_t from = 0; from < all; ++from) {
      counts[from][(from + 1) % all] = 20'000;
    }
    const auto rank = static_cast<std::size_t>(communicator.rank());
    const Exchange<Cuda> exchange(communicator, counts[rank]);
    const Buffer<std::int64_t, Cuda> received =
        exchange.forward(stream, to_device(stream, sent_by(counts, rank, 1)));
    EXPECT_EQ(to_host(stream, received), received_by(counts, rank, 1));
  });
}

TEST_P(ExchangesOfDeviceRanks, WithNothingForAnyRankMoveNothing) {
  const auto& [way, ranks] = GetParam();
  run_device_ranks(way, ranks, [](Communicator<Cuda>& communicator, Stream<Cuda>& stream) {
    const std::vector<std::int64_t> none(static_cast<std::size_t>(communicator.size()));
    const Exchange<Cuda> exchange(communicator, none);
    EXPECT_EQ(exchange.received(), 0);
    const float* nothing = nullptr;
    float* nowhere = nullptr;
    exchange.forward(stream, nothing, nowhere, 16);
    exchange.backward(stream, nothing, nowhere, 16);
    stream.wait();
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, ExchangesOfDeviceRanks,
                         ::testing::Combine(::testing::ValuesIn(kWays),
                                            ::testing::ValuesIn(rank_counts({1, 2, 3, 4, 8}))),
                         name_of_way);

using NcclCommunicator = SimTest;

TEST_F(NcclCommunicator, ServesThirtyTwoRanks) {
  run_device_ranks(Way::nccl, 32, [](Communicator<Cuda>& communicator, Stream<Cuda>& stream) {
    const Counts counts(32, std::vector<std::int64_t>(32, 2));
    const auto rank = static_cast<std::size_t>(communicator.rank());
    const Exchange<Cuda> exchange(communicator, counts[rank], counts[rank]);
    const Buffer<std::int64_t, Cuda> received =
        exchange.forward(stream, to_device(stream, sent_by(counts, rank, 1)));
    EXPECT_EQ(to_host(stream, received), received_by(counts, rank, 1));
  });
}

TEST_F(NcclCommunicator, DoesNotWaitForAnExchange) {
  run_device_ranks(Way::nccl, 2, [](Communicator<Cuda>& communicator, Stream<Cuda>& stream) {
    const std::vector<std::int64_t> parts{8, 8};
    Buffer<std::byte, Cuda> send(stream, 16), receive(stream, 16);
    fill_zero(stream, reinterpret_cast<std::int64_t*>(send.data()), 2);
    if (communicator.rank() == 0) {
      // Rank 1 gives its half only after rank 0 has come back from its call.
      communicator.all_to_all(stream, send.span(), parts, receive.span(), parts);
      communicator.barrier();
    } else {
      communicator.barrier();
      communicator.all_to_all(stream, send.span(), parts, receive.span(), parts);
    }
    EXPECT_EQ(to_host(stream, receive), std::vector<std::byte>(16));
  });
}

TEST_F(NcclCommunicator, SharesThePhaseAndTheCountersOfItsHost) {
  run_device_ranks(Way::nccl, 2, [](Communicator<Cuda>& communicator, Stream<Cuda>& stream) {
    Progress& progress = communicator.progress();
    EXPECT_EQ(&progress, &host_of(communicator).progress());
    const std::vector<std::int64_t> parts{4, 4};
    Buffer<std::byte, Cuda> send(stream, 8), receive(stream, 8);
    const std::uint64_t entered = progress.collectives();
    communicator.all_to_all(stream, send.span(), parts, receive.span(), parts);
    EXPECT_EQ(progress.collectives(), entered + 1);
    EXPECT_FALSE(progress.waiting());
    stream.wait();
    EXPECT_EQ(progress.collectives(), entered + 1);
    EXPECT_FALSE(progress.waiting());
  });
}

TEST_F(NcclCommunicator, IsRefusedOnAllRanksWhereOneLacksItsDevice) {
  try {
    run_ranks(3, 1, [](Communicator<Cpu>& host, Stream<Cpu>&) {
      const auto communicator = make_nccl_communicator(host, host.rank() == 1 ? 5 : 0);
    });
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::device);
    EXPECT_NE(error.text().find("rank 1"), std::string::npos) << error.text();
  }
}

}  // namespace
}  // namespace keyshard::testing
