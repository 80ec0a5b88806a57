# Sourced by run_hosts.sh and slurm.sbatch: run_job COMMAND... runs mpirun in the background and waits for it. TERM and INT become
# USR1: mpirun forwards that one to its ranks and leaves them the time to save, where TERM would kill them after a second.
run_job() {
  "$@" &
  local job=$!
  trap 'kill -USR1 "$job" 2>/dev/null || true' TERM INT USR1
  local code=0
  wait "$job" || code=$?
  # A signal to this shell ends `wait` early: the job is still saving.
  while kill -0 "$job" 2>/dev/null; do
    code=0
    wait "$job" || code=$?
  done
  trap - TERM INT USR1
  return "$code"
}
