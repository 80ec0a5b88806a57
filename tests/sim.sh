#!/usr/bin/env bash
# The tests of the simulated device (label sim), with more seeds than CI has time for: orders of lanes and of queues follow from a seed.
#
#   tests/sim.sh --seeds N [OPTION...]    at least N seeds for each test that draws, without a limit of time; options go to the tests,
#                                         such as --gtest_filter=KeyIndex*
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ "${1:-}" != --seeds ] || ! [[ ${2:-} =~ ^[1-9][0-9]*$ ]]; then
  echo "expected: tests/sim.sh --seeds N [OPTION...]: found: tests/sim.sh $*" >&2
  exit 2
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 KEYSHARD_SIM_SEEDS=$2 TSAN_OPTIONS="atexit_sleep_ms=0 exitcode=0"
shift 2
launch/install-dependencies.sh --tests
cmake --preset release -DKEYSHARD_BUILD_TESTS=ON >/dev/null
cmake --build build/release
passed=0 failed=0
for program in build/release/tests/sim_*_test build/release/tests/sim_*_hooks build/release/tests/sim_*_tsan; do
  start_by=()
  case $program in *_mpi_*) start_by=(launch/mpirun.sh -n 3) ;; esac
  start=$SECONDS
  if "${start_by[@]}" "$program" "$@" >"$program.log" 2>&1; then
    passed=$((passed + 1))
    echo "$(basename "$program") passed in $((SECONDS - start)) s"
  else
    failed=$((failed + 1))
    echo "$(basename "$program") FAILED after $((SECONDS - start)) s: $program.log"
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
