// golden DIR: runs every golden file of a folder; exit status 0 where nothing failed, 1 where
// something did, 2 for a wrong command line.
#include <iostream>

#include "tests/golden/runner.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: golden DIR\n";
    return 2;
  }
  return keyshard::testing::run_golden(argv[1], std::cout) ? 0 : 1;
}
