#!/usr/bin/env bash
# What tests/gpu.sh does with what it finds, on machines that are made up: programs that pass, fail and last too long, with and without
# a GPU, its libraries and compute-sanitizer. Prints what is wrong.
# shellcheck disable=SC2016  # the scripts that are written here expand their arguments later
set -euo pipefail
script=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/bundle tools=$work/tools
mkdir -p "$bundle"/{bin,lib,missing} "$tools"
touch "$bundle/BUNDLE"
cp "$script" "$bundle/"

# program FILE LINE...: a script that does so.
program() {
  local file=$1
  shift
  printf '%s\n' '#!/bin/bash' "$@" >"$file"
  chmod +x "$file"
}
lists='[ "${1:-}" != --gtest_list_tests ] || { printf "Suite.\n  A\n  B\n"; exit; }'
program "$bundle/bin/gpu_primitives_test" "$lists" 'echo "[  PASSED  ] 5 tests."'
program "$bundle/bin/gpu_rows_test" "$lists" 'echo "[  PASSED  ] 3 tests."; echo "[  FAILED  ] 1 test, listed below:"; exit 1'
program "$bundle/bin/gpu_training_test" "$lists" 'echo "[  PASSED  ] 2 tests."'
program "$bundle/bin/keyshard" 'case "$1 ${*: -1}" in' \
  '"bench cuda") echo "found none on that of rank 0"; exit 2 ;;' \
  '"bench "*) echo "find 1 ms"; printf "{\"measure\":\"find\"}\n{\"measure\":\"update\"}\n" >>"${*: -1}" ;;' \
  '"generate "*) mkdir -p "$2" ;;' 'esac'
program "$tools/ldconfig" ''
program "$tools/find" ''
program "$tools/nvidia-smi" 'exit 9'

problems=0
# expect TEXT FILE: a line of the file has it.
expect() {
  grep -qF -- "$1" "$bundle/results/$2" || {
    problems=$((problems + 1))
    echo "expected in $2: $1; found:"
    cat "$bundle/results/$2"
  }
}
run() { env -i PATH="$tools:/usr/bin:/bin" bash "$bundle/gpu.sh" >"$work/log" 2>&1 || echo "exit $?" >>"$work/log"; }

run  # no GPU: all is skipped, and the tests are counted
expect '"gpu": "", "bundle": "yes"' gpu.json
expect '"failed": 0, "skipped": 10' gpu.json
expect '{"part": "gpu_rows_test", "state": "skipped", "seconds": 0, "text": "no GPU: 2 tests", "skipped": 2}' gpu.json
expect '"measures": []}' gpu.json

program "$tools/nvidia-smi" 'echo "Made-up GPU"'
run  # a GPU and nothing else: one program fails
expect '"gpu": "Made-up GPU"' gpu.json
expect '"part": "gpu_primitives_test", "state": "passed"' gpu.json
expect '"passed": 5, "failed": 0, "skipped": 0' gpu.json
expect '"part": "gpu_rows_test", "state": "failed"' gpu.json
expect '"passed": 3, "failed": 1, "skipped": 0' gpu.json
expect '"part": "gpu_training_test", "state": "skipped", "seconds": 0, "text": "no libcublas.so.13 on this machine"' gpu.json
expect '"part": "train_cuda", "state": "skipped"' gpu.json
expect '"measures": [{"measure":"find"},{"measure":"update"}]' gpu.json
expect 'find 1 ms' gpu.txt
grep -q 'exit 1' "$work/log" || { problems=$((problems + 1)); echo "expected exit code 1 where a part fails"; }

program "$tools/ldconfig" 'echo "  libcublas.so.13 (libc6,x86-64) => /made/up/libcublas.so.13"; echo "  libnccl.so.2 => /made/up/libnccl.so.2"'
program "$tools/compute-sanitizer" 'echo sanitized'
program "$bundle/bin/gpu_rows_test" "$lists" 'echo "[  PASSED  ] 4 tests."'
run  # everything is there
expect '"failed": 0, "skipped": 0' gpu.json
expect '"part": "racecheck", "state": "passed"' gpu.json
expect '"part": "train_cuda", "state": "passed"' gpu.json

sed -i 's/^limit=.*/limit=2/' "$bundle/gpu.sh"
program "$bundle/bin/gpu_primitives_test" 'sleep 20'
run  # the time is over
expect '"part": "gpu_primitives_test", "state": "failed"' gpu.json
expect '"text": "no time is left of 2 s"' gpu.json
! command -v python3 >/dev/null || python3 -m json.tool "$bundle/results/gpu.json" >/dev/null || problems=$((problems + 1))
echo "$problems problems"
[ "$problems" = 0 ]
