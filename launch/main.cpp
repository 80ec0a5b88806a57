#include <exception>

#include "launch/command_line.hpp"
#include "launch/process.hpp"
#include "launch/stop_signal.hpp"

int main(int argc, char** argv) {
  keyshard::take_stop_signals_on_own_thread();
  keyshard::write_errors_in_place_of_signals();
  try {
    return keyshard::run_command_line(argc, argv);
  } catch (const std::exception& error) {
    // Found before the ranks met, so their number is not known.
    const int rank = keyshard::launched_rank();
    keyshard::show_error(error, rank, rank + 1);
    return keyshard::exit_code_of(error);
  }
}
