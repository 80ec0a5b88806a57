#!/usr/bin/env bash
# Checks that the digest program under mpirun prints the same losses and digest on 1 2 3 4 5 8 processes x 1 2 threads in every
# exchange mode; the same for 4 slices (1 thread, auto), so that there are more processes than slices; and with overlap.
#
#   tests/step/same_bits_mpi.sh DIGEST_PROGRAM MPIRUN
set -euo pipefail
program=$1
mpirun=$2

# expect OUTPUT RANKS ARGUMENT...
expect() {
  local expected=$1 ranks=$2 found
  shift 2
  found=$("$mpirun" -n "$ranks" "$program" "$@")
  if [ "$found" != "$expected" ]; then
    printf 'expected on %s ranks of %s:\n%s\nfound:\n%s\n' "$ranks" "$*" "$expected" "$found"
    exit 1
  fi
}

sixteen=$("$mpirun" -n 1 "$program" rows 1 16)
four=$("$mpirun" -n 1 "$program" rows 1 4)
[ -n "$sixteen" ] && [ -n "$four" ] && [ "$sixteen" != "$four" ]
for ranks in 1 2 3 4 5 8; do
  for threads in 1 2; do
    for exchange in rows reduced auto; do
      expect "$sixteen" "$ranks" "$exchange" "$threads" 16
    done
  done
  expect "$four" "$ranks" auto 1 4
  expect "$sixteen" "$ranks" auto 1 16 1
  expect "$four" "$ranks" rows 2 4 1
done
echo "$sixteen" | tail -n 1
