#!/usr/bin/env bash
# What needs a GPU, by one command, in six minutes of a GPU's time: the tests of the simulated device with the real libraries, whole
# trainings (the losses of a CPU; one result on 1 rank with NCCL and on 1 to 3 ranks that share the GPU), the benchmarks, the small tests
# under compute-sanitizer where it is installed, and a job of the program on the CPU and on the GPU.
#
#   tests/gpu.sh                  builds in build/cuda and runs
#   tests/gpu.sh bundle [FILE]    on a machine with nvcc, which needs no GPU: makes FILE, build/keyshard-gpu.tar.xz by default
#   ./gpu.sh                      in the unpacked bundle: runs, and needs no compiler and no package
#
# Writes gpu.json (parts, tests, measures) and gpu.txt (a table of the same) into build/gpu, or into results/ of the bundle. A part that
# cannot run is skipped, and says why; without a GPU all are.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "${1:-}" = bundle ]; then
  shift
  exec "$here/gpu/bundle.sh" "$@"
fi

limit=360     # seconds for all parts
programs="gpu_primitives_test gpu_rows_test gpu_training_test"
export PATH=${PATH:-/usr/bin:/bin}:/usr/local/cuda/bin OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

# The path of a shared library of this machine; empty where there is none.
find_library() {
  local path
  path=$( (ldconfig -p || /sbin/ldconfig -p) 2>/dev/null | awk -v name="$1" '$1 == name && !found { print $NF; found = 1 }')
  [ -n "$path" ] || path=$(find /usr/local /usr/lib /opt "${VIRTUAL_ENV:-/opt}" -name "$1" -print -quit 2>/dev/null || true)
  echo "$path"
}
cublas=$(find_library libcublas.so.13)
nccl=$(find_library libnccl.so.2)

in_bundle=no
if [ -f "$here/BUNDLE" ]; then
  in_bundle=yes
  out=$here/results bin=$here/bin tests=$here/bin
  # Of a library that this machine lacks, a stand-in whose calls fail lies in missing/.
  export LD_LIBRARY_PATH=${cublas:+$(dirname "$cublas"):}${nccl:+$(dirname "$nccl"):}$here/missing
  export OPAL_PREFIX=$here/openmpi OMPI_MCA_mca_base_component_path=$here/openmpi/lib/openmpi3 OMPI_MCA_btl=self,vader OMPI_MCA_pml=ob1
  export OMPI_MCA_ess_singleton_isolated=1  # a rank without mpirun starts no daemon, which the bundle lacks
else
  cd "$here/.."
  out=$PWD/build/gpu bin=$PWD/build/cuda/bin tests=$PWD/build/cuda/tests
fi
rm -rf "$out"
mkdir -p "$out"

card=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1) || card=
failed=0 skipped=0
began=$SECONDS

note() { printf '%-28s %-8s %5s  %s\n' "$@" | sed 's/ *$//' | tee -a "$out/gpu.txt"; }

# add NAME STATE SECONDS TEXT [FIELDS]: a part in both files.
add() {
  note "$1" "$2" "$3" "$4"
  printf '{"part": "%s", "state": "%s", "seconds": %d, "text": "%s"%s}\n' "$1" "$2" "$3" "$4" "${5:-}" >>"$out/parts"
}

skip() {
  skipped=$((skipped + 1))
  add "$1" skipped 0 "$2" "${3:-}"
}

# gtest_counts LOG: ", "passed": N, "failed": N, "skipped": N" of a program of tests; empty for others.
gtest_counts() {
  awk '
    /^\[  PASSED  \] [0-9]+ test/ { passed = $4; seen = 1 }
    /^\[  FAILED  \] [0-9]+ test/ { failed = $4; seen = 1 }
    /^\[  SKIPPED \] [0-9]+ test/ { skipped = $4 }
    END { if (seen) printf ", \"passed\": %d, \"failed\": %d, \"skipped\": %d", passed, failed, skipped }' "$1"
}

# part NAME SECONDS COMMAND...: runs a command for so long at most, and no longer than is left of the time of all.
part() {
  local name=$1 most=$2 code=0 start=$SECONDS left=$((limit - SECONDS + began)) counts
  shift 2
  if [ "$left" -le 0 ]; then
    skip "$name" "no time is left of $limit s"
    return
  fi
  timeout "$((left < most ? left : most))" "$@" >"$out/$name.log" 2>&1 || code=$?
  counts=$(gtest_counts "$out/$name.log")
  if [ "$code" = 0 ]; then
    add "$name" passed $((SECONDS - start)) "$(tr -d '",' <<<"$counts" | sed 's/^ *//')" "$counts"
  else
    failed=$((failed + 1))
    add "$name" failed $((SECONDS - start)) "exit code $code; $name.log" "$counts"
    tail -n 20 "$out/$name.log"
  fi
}

# with NAME PATH WHAT: whether the path of what a part needs is known; else the part is skipped.
with() {
  [ -n "$2" ] || skip "$1" "no $3 on this machine"
  [ -n "$2" ]
}

finish() {
  local measures=
  [ ! -s "$out/bench.jsonl" ] || measures=$(paste -sd, "$out/bench.jsonl")
  printf '{"gpu": "%s", "bundle": "%s", "seconds": %d, "failed": %d, "skipped": %d,\n"parts": [\n%s\n],\n"measures": [%s]}\n' "$card" \
    "$in_bundle" $((SECONDS - began)) "$failed" "$skipped" "$(paste -sd, "$out/parts" | sed 's/},{/},\n{/g')" "$measures" >"$out/gpu.json"
  rm "$out/parts"
  note "$failed failed, $skipped skipped" "" $((SECONDS - began)) "$out/gpu.json"
  [ "$failed" = 0 ]
}

# Without a GPU: whether each program starts, where it is built, and how many tests it has.
skip_all() {
  echo "SKIPPED: no GPU on this machine"
  local program tests_of text
  for program in $programs; do
    text="no GPU" tests_of=
    if [ "$in_bundle" = yes ]; then
      tests_of=$("$tests/$program" --gtest_list_tests 2>"$out/$program.log" | grep -c '^  ') || {
        failed=$((failed + 1))
        add "$program" failed 0 "it does not start; $program.log"
        tail -n 5 "$out/$program.log"
        continue
      }
      text="no GPU: $tests_of tests"
    fi
    skip "$program" "$text" "${tests_of:+, \"skipped\": $tests_of}"
  done
  text="no GPU"
  if [ "$in_bundle" = yes ]; then
    if "$bin/keyshard" bench --device cuda >"$out/bench.log" 2>&1 || ! grep -q 'found none' "$out/bench.log"; then
      failed=$((failed + 1))
      add keyshard failed 0 "expected an error that there is no GPU; bench.log"
      tail -n 5 "$out/bench.log"
    else
      text="no GPU: keyshard starts and says so"
    fi
  fi
  for program in bench memcheck racecheck synccheck generate train_cpu train_cuda; do
    skip "$program" "$text"
  done
  finish
}

if [ -z "$card" ]; then
  skip_all
  exit
fi

if [ "$in_bundle" = no ]; then
  cmake --preset cuda >/dev/null
  cmake --build build/cuda --target gpu_tests
  began=$SECONDS
fi
note "$card" "" "" ""
part gpu_primitives_test 60 "$tests/gpu_primitives_test"
part gpu_rows_test 60 "$tests/gpu_rows_test"
if with gpu_training_test "$cublas" libcublas.so.13 && with gpu_training_test "$nccl" libnccl.so.2; then
  part gpu_training_test 60 "$tests/gpu_training_test"
fi
part bench 150 "$bin/keyshard" bench --device cuda --json "$out/bench.jsonl"
for tool in memcheck racecheck synccheck; do
  if with "$tool" "$(command -v compute-sanitizer || true)" compute-sanitizer; then
    part "$tool" 40 compute-sanitizer --tool "$tool" --error-exitcode 1 "$tests/gpu_primitives_test"
  fi
done
part generate 30 "$bin/keyshard" generate "$out/click-log"
for device in cpu cuda; do
  if [ "$device" = cpu ] || { with train_cuda "$cublas" libcublas.so.13 && with train_cuda "$nccl" libnccl.so.2; }; then
    part "train_$device" 40 "$bin/keyshard" train "$out/click-log/click-log.toml" --output "$out/out-$device" --device "$device" --overwrite
    grep -h 'examples/s' "$out/train_$device.log" | tail -n 1 | tee -a "$out/gpu.txt" || true
  fi
done
[ ! -f "$out/bench.log" ] || tee -a "$out/gpu.txt" <"$out/bench.log"
rm -rf "$out/click-log" "$out"/out-*
finish
