#!/usr/bin/env bash
# The digest program under mpirun on 1 2 3 4 5 8 processes x 1 2 threads prints the same losses and digest each time.
#
#   tests/step/same_bits_mpi.sh DIGEST_PROGRAM MPIRUN
set -euo pipefail
program=$1
mpirun=$2
expected=$("$mpirun" -n 1 "$program" rows 1)
[ -n "$expected" ]
for ranks in 1 2 3 4 5 8; do
  for threads in 1 2; do
    for exchange in rows reduced auto; do
      found=$("$mpirun" -n "$ranks" "$program" "$exchange" "$threads")
      if [ "$found" != "$expected" ]; then
        printf 'expected on %s ranks x %s threads, exchange %s:\n%s\nfound:\n%s\n' \
          "$ranks" "$threads" "$exchange" "$expected" "$found"
        exit 1
      fi
    done
  done
done
echo "$expected" | tail -n 1
