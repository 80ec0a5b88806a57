#!/usr/bin/env bash
# Installs what is missing, builds everything in build/release and runs all tests. Arguments go to ctest. What launch/quickstart.sh
# has built stays as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
launch/install-dependencies.sh --tests
cmake --preset release -DKEYSHARD_BUILD_TESTS=ON >/dev/null
start=$SECONDS
cmake --build build/release
# TensorBoard reads what the program writes for it. Where there is no pip, that test is skipped.
if [ ! -d build/release/python/tensorboard ] && python3 -m pip --version >/dev/null 2>&1; then
  python3 -m pip install -q --retries 1 --timeout 10 --disable-pip-version-check --root-user-action ignore --target build/release/python tensorboard ||
    echo "without tensorboard: its test is skipped"
fi
echo "built in $((SECONDS - start)) s"
ctest --test-dir build/release --output-on-failure "$@"
