#!/usr/bin/env bash
# Trains examples with several seeds and prints a row of a table for each: the mean of the evaluations that were best by the
# configured metric, and the standard deviation over the seeds. docs/results.md has such rows.
#   measure.sh [-s SEEDS] [-k KEYSHARD] [-o OUT] EXAMPLE... [-- OPTION...]
# SEEDS (5): how many, from 1 on. KEYSHARD: the program, build/release/bin/keyshard, or "launch/mpirun.sh -n 4 PROGRAM".
# OUT: a folder for the runs, which stays (without it, a temporary one). EXAMPLE: a configuration, or the name of one in this
# folder; NAME:5 is trained on each of the 5 folds of its data (u1 to u5 in the names of its files), and a seed counts with
# their mean. OPTION: for `keyshard train`, as --data.folder FOLDER (without
# it, the sample), --device cuda or --set job.numerics=avx2.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
seeds=5 program=$here/../../build/release/bin/keyshard out='' examples=() options=(--set checkpoint.at_end=false --set checkpoint.best=false)

while [ $# -gt 0 ]; do
  case $1 in
    -s) seeds=$2; shift 2 ;;
    -k) program=$2; shift 2 ;;
    -o) out=$2; shift 2 ;;
    --) shift; options+=("$@"); break ;;
    -*) sed -n '2,10p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
    *) examples+=("$1"); shift ;;
  esac
done
if [ ${#examples[@]} -eq 0 ]; then
  sed -n '2,10p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
if [ -z "$out" ]; then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
fi
mkdir -p "$out"

# The value of a metric in a line of metrics.jsonl; of the unseen samples where $3 says so; "-" where there is none.
value() {
  local line=$2 found
  case ${3:-all} in
    unseen) line=${line##*'"unseen":'} ;;
    all) line=${line%%'"unseen":'*} ;;
    *) line='' ;;
  esac
  found=$(printf '%s\n' "$line" | grep -o "\"$1\":-\{0,1\}[0-9][0-9.e+-]*" | head -n 1 | cut -d : -f 2 || true)
  echo "${found:--}"
}

# Trains example $1 with seed $2 on fold $3 (0: as configured); prints auc, auc of unseen, loss, rmse, steps of the best evaluation.
train() {
  local config=$1 seed=$2 fold=$3 key files best folder
  folder=$out/$(basename "$config" .toml)-seed$2
  local -a assigned=(--set "job.seed=$seed")
  if [ "$fold" -gt 0 ]; then
    folder=$folder-fold$fold
    for key in train valid; do
      files=$(sed -n "s/^$key = //p" "$config" | sed "s/u1\./u$fold./g")
      assigned+=(--set "data.$key=$files")
    done
  fi
  # shellcheck disable=SC2086  # the program may be several words
  $program train "$config" --output "$folder" --overwrite --progress off "${assigned[@]}" "${options[@]}" >"$folder.log" 2>&1 ||
    { cat "$folder.log" >&2; return 1; }
  best=$(grep '"best":true' "$folder/metrics.jsonl" | tail -n 1)
  case $best in *'"unseen":'*) files=unseen ;; *) files=none ;; esac
  echo "$(value auc "$best") $(value auc "$best" "$files") $(value loss "$best") $(value rmse "$best") $(value step "$best")"
}

# Mean and standard deviation of each column of standard input, over groups of $1 lines whose means count.
summary() {
  awk -v group="$1" '
    function shown(x) { x = sprintf("%.4f", x); sub(/^0/, "", x); return x }
    { for (c = 1; c <= NF; ++c) { if ($c == "-") absent[c] = 1; sum[c] += $c / group }
      if (NR % group == 0) { ++n; for (c = 1; c <= NF; ++c) { x[n, c] = sum[c]; total[c] += sum[c]; sum[c] = 0 } } }
    END { for (c = 1; c <= 4; ++c) {
            for (i = 1; i <= n; ++i) square[c] += (x[i, c] - total[c] / n) ^ 2
            printf " %s |", absent[c] ? "" : shown(total[c] / n) " ± " shown(n > 1 ? sqrt(square[c] / (n - 1)) : 0) }
          printf "\n" }'
}

echo "| example | AUC | AUC, unseen | log loss or squared error | RMSE |"
echo "|---|---|---|---|---|"
for example in "${examples[@]}"; do
  folds=1
  case $example in *:*) folds=${example##*:} example=${example%:*} ;; esac
  config=$example
  [ -e "$config" ] || config=$here/$example.toml
  for seed in $(seq "$seeds"); do
    for fold in $(seq "$folds"); do
      train "$config" "$seed" "$([ "$folds" -gt 1 ] && echo "$fold" || echo 0)"
    done
  done >"$out/rows"
  printf '| %s |' "$(basename "$config" .toml)"
  summary "$folds" <"$out/rows"
done
