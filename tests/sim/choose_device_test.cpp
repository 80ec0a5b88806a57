// Which device a rank takes, on a machine with one simulated GPU.
#include "launch/process.hpp"
#include "runtime/error.hpp"
#include "tests/sim/sim_test.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

JobCommand command_of(const std::string& device, bool share = false) {
  JobCommand command;
  command.device = device;
  command.share_device = share;
  return command;
}

/// body(the device of a rank) on so many ranks of this machine.
void on_ranks(int ranks, const JobCommand& command,
              const std::function<void(const Device&)>& body) {
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    body(choose_device(command, communicator));
  });
}

TEST(ChooseDevice, TakesTheGpuWhereThereIsOneUnlessTheCpuIsAskedFor) {
  for (const char* asked : {"auto", "cuda"}) {
    on_ranks(1, command_of(asked), [](const Device& device) {
      EXPECT_EQ(device.cuda, 0);
      EXPECT_EQ(device.name, "simulated");
      EXPECT_FALSE(device.shared);
      EXPECT_EQ(place_of(device, 1, 2), "1 ranks with a GPU each (simulated)");
    });
  }
  on_ranks(2, command_of("cpu"), [](const Device& device) {
    EXPECT_EQ(device.cuda, -1);
    EXPECT_EQ(place_of(device, 2, 3), "2 ranks x 3 threads");
  });
}

TEST(ChooseDevice, RefusesMoreRanksThanGpusUnlessTheyMayShare) {
  try {
    on_ranks(2, command_of("auto"), [](const Device&) { ADD_FAILURE() << "no error"; });
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::invalid_argument);
    EXPECT_NE(error.text().find("found 2 ranks and 1 GPUs on the machine of rank 0"),
              std::string::npos)
        << error.text();
  }
  on_ranks(3, command_of("auto", true), [](const Device& device) {
    EXPECT_EQ(device.cuda, 0);
    EXPECT_TRUE(device.shared);
    EXPECT_EQ(place_of(device, 3, 1), "3 ranks with a shared GPU (simulated)");
  });
}

}  // namespace
}  // namespace keyshard::testing
