#include "tests/support/job.hpp"

#include <cstdio>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

namespace keyshard::testing {

Ending run_job(const std::string& mpirun, const std::string& program, const std::string& argument) {
  const std::string command =
      fmt::format("timeout -k 1 60 {} -n 3 {} {} 2>&1", mpirun, program, argument);
  Ending ending;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) {
    return ending;
  }
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    ending.output += static_cast<char>(c);
  }
  const int status = pclose(pipe);
  ending.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ending;
}

void expect_says(const Ending& ending, const std::string& text) {
  EXPECT_NE(ending.output.find(text), std::string::npos) << ending.output;
}

}  // namespace keyshard::testing
