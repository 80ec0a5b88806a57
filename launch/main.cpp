#include <exception>

#include "launch/command_line.hpp"
#include "launch/process.hpp"

int main(int argc, char** argv) {
  try {
    return keyshard::run_command_line(argc, argv);
  } catch (const std::exception& error) {
    // Found before the ranks met: all of them see it, one says it.
    if (keyshard::launched_rank() == 0) {
      keyshard::show_error(error, 0, 1);
    }
    return keyshard::exit_code_of(error);
  }
}
