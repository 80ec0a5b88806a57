#!/usr/bin/env bash
# Trains on the nodes of a hostfile. On TERM or INT this script lets the ranks save first and then exits with their code:
# 75 says that the same command continues the job.
#
#   launch/run_hosts.sh HOSTFILE CONFIG [OPTION OF keyshard train...]
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: launch/run_hosts.sh HOSTFILE CONFIG [OPTION OF keyshard train...]" >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
hostfile=$1
shift
ranks=$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' -e '/slots=/!s/$/ slots=1/' -e 's/.*slots=\([0-9]*\).*/\1/' "$hostfile" |
  awk '{n += $1} END {print n + 0}')
hosts=$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$hostfile" | awk '{print $1}')
. "$here/run_job.sh"
await_hosts "$(start_seconds "$@")" "$here/mpirun.sh" $hosts
run_job "$here/mpirun.sh" -n "$ranks" --hostfile "$hostfile" "$here/../build/release/bin/keyshard" train "$@" --resume latest
