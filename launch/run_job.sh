# Sourced by run_hosts.sh and slurm.sbatch: run_job COMMAND... runs mpirun in the background and waits for it. TERM, INT and HUP become
# USR1: mpirun forwards USR1 to its ranks and gives them time to save, while on TERM mpirun would kill the ranks after a second. If
# the network to another host breaks, the ranks of both hosts end, but mpirun waits for the other host as long as TCP does, a quarter
# of an hour: run_job kills mpirun 20 seconds after the last rank of this host has ended, and returns 70.
#
# await_hosts SECONDS MPIRUN HOST... starts a program on each host first: mpirun would wait without end, and without a word, for a
# host that takes the connection and never answers. start_seconds CONFIG [OPTION...] prints job.start_seconds of a job.

# What the options, or else the configuration, say of job.start_seconds; 120, as the program, where neither does.
start_seconds() {
  local config=$1 seconds=120 found argument
  shift
  # A number in another form than 30, 1_200 or 2.5 is left to the program: 120 holds here.
  found=$(sed -n 's/^[[:space:]]*start_seconds[[:space:]]*=[[:space:]]*\([0-9_.]*\)[[:space:]]*\(#.*\)\{0,1\}$/\1/p' "$config" | tail -n 1 | tr -d _)
  seconds=${found:-$seconds}
  for argument in "$@"; do
    case $argument in
      *job.start_seconds=*) seconds=${argument##*job.start_seconds=} ;;
    esac
  done
  echo "$seconds"
}

# Returns 70 where a host has not run a program within $1 seconds, and names all such hosts.
await_hosts() {
  local seconds=$1 mpirun=$2 host missing='' i=0
  local -a tries=()
  shift 2
  case $seconds in '' | 0 | 0.0) return 0 ;; esac
  for host in "$@"; do
    timeout -k 2 "$seconds" "$mpirun" -n 1 --host "$host" true </dev/null >/dev/null 2>&1 &
    tries+=("$!")
  done
  for host in "$@"; do
    wait "${tries[i]}" || missing="$missing $host"
    i=$((i + 1))
  done
  if [ -n "$missing" ]; then
    echo "error: no program could be started within $seconds s (job.start_seconds) on:$missing" >&2
    return 70
  fi
}

# Whether mpirun $1 has a rank on this host.
has_ranks() {
  local child
  for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
    if grep -qs OMPI_COMM_WORLD_RANK= "/proc/$child/environ"; then
      return 0
    fi
  done
  return 1
}

# Returns when mpirun $1 has ended: 70 if it had to be killed.
end_without_ranks() {
  local had_ranks=no alone=0
  while sleep 1 >/dev/null 2>&1 && kill -0 "$1" 2>/dev/null; do
    if has_ranks "$1"; then
      had_ranks=yes alone=0
    elif [ "$had_ranks" = yes ] && [ "$((alone += 1))" -ge 20 ]; then
      echo "error: all ranks of this host have ended, and mpirun still waits for another host: it is killed" >&2
      kill -KILL "$1"
      return 70
    fi
  done
}

run_job() {
  "$@" &
  local job=$!
  end_without_ranks "$job" &
  local watcher=$!
  trap 'kill -USR1 "$job" 2>/dev/null || true' TERM INT USR1 HUP
  local code=0
  wait "$job" || code=$?
  # A signal to this shell ends `wait` early: the job is still saving.
  while kill -0 "$job" 2>/dev/null; do
    code=0
    wait "$job" || code=$?
  done
  trap - TERM INT USR1 HUP
  kill "$watcher" 2>/dev/null || true
  local watched=0
  wait "$watcher" 2>/dev/null || watched=$?
  if [ "$watched" = 70 ]; then
    code=70
  fi
  return "$code"
}
