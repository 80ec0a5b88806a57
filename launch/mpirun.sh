#!/usr/bin/env bash
# mpirun with what keyshard's jobs need on any machine: root allowed (containers), no binding of a rank's threads to one core, and
# waiting ranks that yield when there are more ranks than cores.
#
# mpirun reads all of its standard input for rank 0. Here it does so only where an argument, or a configuration among the
# arguments, names standard input as data ("-"), or --stdin is given: else the input stays with the caller, as with a loop over lines.
#
#   launch/mpirun.sh -n RANKS [MPIRUN OPTION...] PROGRAM [ARGUMENT...]
set -euo pipefail
reads=no
for argument in "$@"; do
  case $argument in
    *'"-"'* | *"'-'"* | - | --stdin | -stdin) reads=yes ;;
    *.toml) if grep -qs "[\"']-[\"']" -- "$argument"; then reads=yes; fi ;;
  esac
done
if [ "$reads" = no ]; then
  exec </dev/null
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
exec mpirun --bind-to none "$@"
