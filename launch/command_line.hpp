// The command line (the one home of CLI11).
#pragma once

namespace keyshard {

/// Parses the command line, runs the command, and returns the exit code. Usage errors and --help
/// are printed by rank 0 alone.
int run_command_line(int argc, char** argv);

}  // namespace keyshard
