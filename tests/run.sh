#!/usr/bin/env bash
# Installs what is missing, builds everything in build/release and runs all tests. Arguments go to ctest. What launch/quickstart.sh
# has built stays as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
launch/install-dependencies.sh --tests
cmake --preset release -DKEYSHARD_BUILD_TESTS=ON >/dev/null
start=$SECONDS
cmake --build build/release
echo "built in $((SECONDS - start)) s"
ctest --test-dir build/release --output-on-failure "$@"
