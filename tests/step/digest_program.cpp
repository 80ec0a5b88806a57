// Trains the tiny job on the ranks of mpirun and prints losses and state digest on rank 0, so that
// scripts can compare different numbers of processes and different compilers.
//
//   digest_program EXCHANGE THREADS [SLICES [OVERLAP]]
#include <cstdlib>
#include <exception>

#include <fmt/format.h>

#include "collectives/mpi_session.hpp"
#include "tests/step/tiny_job.hpp"
#include "tests/support/scratch_folder.hpp"

int main(int argc, char** argv) {
  using namespace keyshard;
  const std::string exchange = argc > 1 ? argv[1] : "rows";
  const int threads = argc > 2 ? std::atoi(argv[2]) : 1;
  const int slices = argc > 3 ? std::atoi(argv[3]) : 16;
  const std::string overlap = argc > 4 ? argv[4] : "0";
  MpiSession session;
  const auto world = session.world();
  try {
    const testing::ScratchFolder folder;
    Stream<Cpu> stream(threads, 0);
    const JobConfig config =
        testing::tiny_job(folder.path(""), exchange, slices, {"job.overlap=" + overlap});
    const testing::TinyResult result = testing::train_tiny(config, *world, stream);
    if (world->rank() == 0) {
      for (const double loss : result.losses) {
        fmt::print("{:a} ", loss);
      }
      fmt::print("\n{}\n", result.digest);
    }
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    world->abort(error.what(), 1);
    return 1;
  }
}
