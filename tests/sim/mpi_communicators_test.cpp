// Communicators of device data over ranks that are processes, each with a simulated device of its
// own, which meet in NCCL's double through shared memory. Runs under mpirun, or as one rank.
#include <tuple>

#include <fmt/format.h>

#include "collectives/mpi_session.hpp"
#include "tests/collectives/communicator_checks.hpp"
#include "tests/sim/device_ranks.hpp"
#include "tests/sim/sim_test.hpp"

namespace keyshard::testing {
namespace {

class DeviceProcesses : public SimTest,
                        public ::testing::WithParamInterface<std::tuple<RankCheck<Cuda>, Way>> {};

TEST_P(DeviceProcesses, Hold) {
  const auto& [check, way] = GetParam();
  for_seeds(2, [&, check = check, way = way](int) {
    MpiSession session;  // adopts the MPI of main
    const auto world = session.world();
    const auto communicator = make_communicator(way, *world);
    Stream<Cuda> stream(0);
    check.run(*communicator, stream);
  });
}

std::string name_of_case(const ::testing::TestParamInfo<DeviceProcesses::ParamType>& info) {
  const auto& [check, way] = info.param;
  return fmt::format("{}_{}", check.name, name_of(way));
}

INSTANTIATE_TEST_SUITE_P(Communicator, DeviceProcesses,
                         ::testing::Combine(::testing::ValuesIn(communicator_checks<Cuda>()),
                                            ::testing::Values(Way::nccl, Way::staged)),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(FoldedSum, DeviceProcesses,
                         ::testing::Combine(::testing::ValuesIn(folded_sum_checks<Cuda>()),
                                            ::testing::Values(Way::nccl, Way::staged)),
                         name_of_case);

TEST_F(DeviceProcesses, ExchangeRandomCountsBetweenKernels) {
  for (const Way way : {Way::nccl, Way::staged}) {
    for_seeds(20, [&](int seed) {
      MpiSession session;
      const auto world = session.world();
      const auto communicator = make_communicator(way, *world);
      Stream<Cuda> stream(0);
      exchange_between_kernels(*communicator, stream, static_cast<unsigned>(seed));
    });
  }
}

}  // namespace
}  // namespace keyshard::testing

int main(int argc, char** argv) {
  const keyshard::MpiSession session;
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
