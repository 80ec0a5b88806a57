// A job of several processes, run by a test that looks at its end.
#pragma once

#include <string>

namespace keyshard::testing {

struct Ending {
  int code = -1;  ///< 124 where the job did not end
  std::string output;
};

/// Runs `program` on three ranks; kills the job if it still runs after a minute.
Ending run_job(const std::string& mpirun, const std::string& program, const std::string& argument);

/// Fails the test unless the output has this text.
void expect_says(const Ending& ending, const std::string& text);

}  // namespace keyshard::testing
