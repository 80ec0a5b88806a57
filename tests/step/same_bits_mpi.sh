#!/usr/bin/env bash
# The digest program under mpirun on 1 2 3 4 5 8 processes prints the same losses and digest each time.
#
#   tests/step/same_bits_mpi.sh DIGEST_PROGRAM MPIRUN
set -euo pipefail
program=$1
mpirun=$2
expected=$("$mpirun" -n 1 "$program" rows 1)
[ -n "$expected" ]
for ranks in 2 3 4 5 8; do
  for exchange in rows reduced auto; do
    found=$("$mpirun" -n "$ranks" "$program" "$exchange" $((1 + ranks % 2)))
    if [ "$found" != "$expected" ]; then
      printf 'expected on %s ranks, exchange %s:\n%s\nfound:\n%s\n' "$ranks" "$exchange" "$expected" "$found"
      exit 1
    fi
  done
done
echo "$expected" | tail -n 1
