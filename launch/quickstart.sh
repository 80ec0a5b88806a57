#!/usr/bin/env bash
# From a fresh clone to a trained model: installs what is missing, builds the program, generates a click log whose best possible
# AUC is known, and trains DeepFM on it with 2 ranks. Under five minutes on two cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

launch/install-dependencies.sh --stores

echo "building build/release/bin/keyshard"
cmake --preset release -DKEYSHARD_BUILD_TESTS=OFF >/dev/null
cmake --build build/release --target keyshard

data=build/quickstart
out=$data/out
rm -rf "$data"
echo "generating a click log in $data"
build/release/bin/keyshard generate "$data" | tee build/quickstart.txt
best=$(sed -n 's/^best possible validation AUC //p' build/quickstart.txt)

echo "training launch/examples/quickstart.toml on 2 ranks"
progress=auto
if [ -t 1 ]; then
  progress=line
fi
launch/mpirun.sh -n 2 build/release/bin/keyshard train launch/examples/quickstart.toml --output "$out" --progress "$progress"

reached=$(sed -n 's/.*"kind":"valid".*"auc":\([0-9.]*\).*/\1/p' "$out/metrics.jsonl" | tail -n 1)
printf '\nvalidation AUC %.4f; the best possible one on this data is %s\n' "$reached" "$best"
cat <<'TEXT'

Next
  More ranks, same bits     launch/mpirun.sh -n 3 build/release/bin/keyshard train launch/examples/quickstart.toml --output out/three
  On, with other ranks      launch/mpirun.sh -n 1 build/release/bin/keyshard train launch/examples/quickstart.toml \
                              --output build/quickstart/out --resume latest --set job.epochs=5
  Several nodes, hostfile   launch/run_hosts.sh launch/hostfile.example CONFIG
  Several nodes, Slurm      sbatch --nodes 2 launch/slurm.sbatch CONFIG
  Your own data             build/release/bin/keyshard init FILE...   (docs/data.md)
                            launch/mpirun.sh -n 2 build/release/bin/keyshard train keyshard.toml
TEXT
