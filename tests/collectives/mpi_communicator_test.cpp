// Ranks as processes: the checks of any communicator, whole and in small pieces, over the world and
// over a caller's communicator. Runs under mpirun, or as one rank.
#include <chrono>
#include <ctime>
#include <thread>

#include <gtest/gtest.h>
#include <mpi.h>

#include "collectives/mpi_session.hpp"
#include "runtime/error.hpp"
#include "tests/collectives/communicator_checks.hpp"

namespace keyshard::testing {
namespace {

class MpiRanks : public ::testing::TestWithParam<RankCheck<Cpu>> {};

TEST_P(MpiRanks, Hold) {
  MpiSession session;  // adopts the MPI of main
  Stream<Cpu> stream(2);
  const auto world = session.world();
  GetParam().run(*world, stream);
}

TEST_P(MpiRanks, HoldInPiecesOfSevenBytes) {
  MpiSession session;
  Stream<Cpu> stream;
  const auto world = session.world({.piece_bytes = 7, .on_abort = {}});
  GetParam().run(*world, stream);
}

std::string name_of_case(const ::testing::TestParamInfo<RankCheck<Cpu>>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Communicator, MpiRanks, ::testing::ValuesIn(communicator_checks<Cpu>()),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(FoldedSum, MpiRanks, ::testing::ValuesIn(folded_sum_checks<Cpu>()),
                         name_of_case);

TEST(MpiSession, AdoptsTheCommunicatorOfItsCaller) {
  // The ranks in reverse order.
  int rank = 0, size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Comm reversed = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, 0, size - rank, &reversed);
  {
    MpiSession session;
    const auto communicator = session.adopt(&reversed);
    EXPECT_EQ(communicator->rank(), size - 1 - rank);
    EXPECT_EQ(communicator->size(), size);
    EXPECT_EQ(communicator->local_size(), size);
    EXPECT_EQ(communicator->gather_values(rank).front(), size - 1);
  }
  MPI_Comm_free(&reversed);
}

TEST(MpiRank, SleepsWhereItWaitsForAPeerForLong) {
  MpiSession session;
  const auto world = session.world();
  world->barrier();
  const std::clock_t before = std::clock();  // CPU time of this process
  if (world->rank() == 0) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  world->barrier();
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.3);
}

}  // namespace
}  // namespace keyshard::testing

int main(int argc, char** argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
  ::testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  MPI_Finalize();
  return result;
}
