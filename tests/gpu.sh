#!/usr/bin/env bash
# Builds what needs a GPU in build/cuda and runs it: the tests of the simulated device with the real libraries, whole trainings, the small
# tests under compute-sanitizer where it is installed, and the quickstart's job on a CPU and on the GPU. Writes build/cuda/gpu.json, a
# line per part. Without a GPU it says so and runs nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PATH:/usr/local/cuda/bin OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

tests="gpu_primitives_test gpu_rows_test gpu_training_test"
if ! card=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1) || [ -z "$card" ]; then
  echo "SKIPPED: no GPU on this machine: $(wc -w <<<"$tests") programs were not run"
  exit 0
fi
cmake --preset cuda >/dev/null
cmake --build build/cuda --target gpu_tests

results=build/cuda/gpu.json
: >"$results"
failed=0
# part NAME COMMAND...
part() {
  local name=$1 code=0 start=$SECONDS
  shift
  timeout 120 "$@" >"build/cuda/$name.log" 2>&1 || code=$?
  [ "$code" = 0 ] || failed=$((failed + 1))
  printf '{"part": "%s", "gpu": "%s", "exit": %d, "seconds": %d}\n' "$name" "$card" "$code" $((SECONDS - start)) | tee -a "$results"
  [ "$code" = 0 ] || tail -n 20 "build/cuda/$name.log"
}

for test in $tests; do
  part "$test" "build/cuda/tests/$test"
done
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck synccheck; do
    part "$tool" compute-sanitizer --tool "$tool" --error-exitcode 1 build/cuda/tests/gpu_primitives_test
  done
fi
part generate build/cuda/bin/keyshard generate build/cuda/click-log
for device in cpu cuda; do
  part "train_$device" build/cuda/bin/keyshard train build/cuda/click-log/click-log.toml --output "build/cuda/out-$device" \
    --device "$device" --overwrite
  grep -h 'examples/s' "build/cuda/train_$device.log" | tail -n 2 || true
done
echo "$failed parts failed; $results"
[ "$failed" = 0 ]
