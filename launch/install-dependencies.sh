#!/usr/bin/env bash
# Installs the packages that keyshard needs and that are missing, on Debian 12 and Ubuntu 24.04 or newer.
#
#   launch/install-dependencies.sh [--stores] [--tests] [--ci]
#
# Without an option: what builds and runs the program. --stores adds what tables with rows in RocksDB or Redis need. --tests adds what
# tests need, stores and a Redis server included. --ci adds the same, and clang with its tools.
set -euo pipefail

packages=(
  g++ cmake ninja-build
  openmpi-bin libopenmpi-dev  # ranks
  libhdf5-dev                 # packed data and checkpoints
  libarchive-dev              # compressed text
  libdnnl-dev                 # dense products
  libtomlplusplus-dev libcli11-dev nlohmann-json3-dev libxxhash-dev libfarmhash-dev libfmt-dev
  libspdlog-dev
)
stores=(librocksdb-dev libhiredis-dev)
tests=("${stores[@]}" redis-server libgtest-dev python3-h5py iproute2)  # h5py reads checkpoints; iproute2 makes two hosts
optional=()                              # what not every system has: then a test is skipped
optional_tests=(chromium-headless-shell)  # shows the page of a run
for option in "$@"; do
  case $option in
    --stores) packages+=("${stores[@]}") ;;
    --tests) packages+=("${tests[@]}"); optional+=("${optional_tests[@]}") ;;
    --ci) packages+=("${tests[@]}" clang clang-format clang-tidy); optional+=("${optional_tests[@]}") ;;
    *) echo "install-dependencies.sh: expected --stores, --tests or --ci: found $option" >&2; exit 2 ;;
  esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  cat >&2 <<TEXT
install-dependencies.sh: expected Debian or Ubuntu: found no apt-get. keyshard needs, from the packages of this system:
a C++20 compiler (g++ 12, clang 14), CMake 3.25, Ninja, Open MPI 4, HDF5 1.10 (serial), libarchive, oneDNN 2 (GNU OpenMP),
toml++ 3.2 and spdlog 1.10 (both with their libraries), CLI11 2, nlohmann-json 3, xxHash 0.8, FarmHash, {fmt} 9; stores of rows
RocksDB 7 and hiredis 0.14; the tests also GoogleTest, h5py, redis-server and iproute2.
Then: cmake --preset release && cmake --build build/release
TEXT
  exit 1
fi

installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

missing=()
for package in "${packages[@]}"; do
  installed "$package" || missing+=("$package")
done

root=()
if [ "$(id -u)" != 0 ]; then
  root=(sudo)
fi
install() {
  echo "installing $*"
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if [ ${#missing[@]} != 0 ]; then
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || {
    echo "install-dependencies.sh: expected root or sudo; missing: ${missing[*]}" >&2
    exit 1
  }
  "${root[@]}" apt-get update -qq
  install "${missing[@]}"
fi
for package in "${optional[@]}"; do
  # Without a question for a password: nothing depends on it.
  if ! installed "$package" && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; } && apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [0-9]'; then
    install "$package" || echo "without $package: what needs it is skipped"
  fi
done
