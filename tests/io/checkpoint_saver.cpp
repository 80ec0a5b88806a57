// Saves checkpoints without end into the folder of its argument, on two ranks: what
// checkpoint_kill_test kills.
#include <cstdlib>

#include "tests/io/checkpoint_fixture.hpp"

int main(int, char** arguments) {
  using namespace keyshard;
  using namespace keyshard::testing;
  LocalFileSystem files;
  const FolderLock lock(arguments[1]);
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    CheckpointWriter writer(files, arguments[1], communicator, stream);
    for (std::int64_t step = std::atoll(arguments[2]);; ++step) {
      writer.save(TestState{step, 8, 400}.content(communicator.rank(), 2), {2, -1});
    }
  });
}
