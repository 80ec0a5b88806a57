#!/usr/bin/env bash
# Makes the bundle of tests/gpu.sh: the programs for compute capability 8.0 and 9.0, and the shared libraries that they need. Not in it:
# glibc, the driver, and cuBLAS and NCCL, each of which is larger than the bundle may be. The machine of the GPU has them, or stand-ins
# take their place and what needs them is skipped.
#
#   tests/gpu.sh bundle [FILE]    FILE: build/keyshard-gpu.tar.xz by default
#
# KEYSHARD_CUDA_ARCH (80;90) and KEYSHARD_BUNDLE_BUILD (build/bundle) change architectures and the folder of the build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PATH=$PATH:/usr/local/cuda/bin

file=${1:-build/keyshard-gpu.tar.xz}
build=${KEYSHARD_BUNDLE_BUILD:-build/bundle}
architectures=${KEYSHARD_CUDA_ARCH:-80;90}
most=$((60 * 1000 * 1000))
programs="gpu_primitives_test gpu_rows_test gpu_training_test"

cmake --preset cuda -B "$build" -DKEYSHARD_CUDA_ARCH="$architectures" -DCMAKE_BUILD_RPATH="\$ORIGIN/../lib" \
  -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags >/dev/null
cmake --build "$build" --target gpu_tests

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/keyshard-gpu
mkdir -p "$bundle"/{bin,lib,missing,openmpi/lib}

# libraries_of FILE...: the shared libraries of programs and libraries, without those of the machine of the GPU.
libraries_of() {
  ldd "$@" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
    grep -vE '/lib(c|m|mvec|dl|rt|pthread|resolv|util|anl|cuda|cublas|cublasLt|nccl)\.so'
}

for program in $programs; do
  cp "$build/tests/$program" "$bundle/bin/"
done
cp "$build/bin/keyshard" "$bundle/bin/"
strip "$bundle"/bin/*
libraries_of "$bundle"/bin/* | xargs -I{} cp -L {} "$bundle/lib/"

# Open MPI loads its components by itself. Those of networks need libraries of their own: ranks of a bundle are on one machine.
components=$(dirname "$(ldd "$bundle/bin/keyshard" | awk '$1 ~ /^libopen-pal/ { print $3 }')")/openmpi/lib/openmpi3
if [ -d "$components" ]; then
  mkdir "$bundle/openmpi/lib/openmpi3"
  for component in "$components"/*.so; do
    if [ -z "$(comm -23 <(libraries_of "$component" | xargs -rn 1 basename | sort -u) <(find "$bundle/lib" -type f -printf '%f\n' | sort))" ]; then
      cp "$component" "$bundle/openmpi/lib/openmpi3/"
    fi
  done
fi

# stand_in LIBRARY VERSION TEXT-FUNCTION: a library whose functions, which the programs call, return an error.
stand_in() {
  local library=$1 version=$2 text=$3 name
  {
    nm -D --undefined-only "$bundle"/bin/* | awk '{ print $2 }' | sed 's/@.*//' | sort -u | grep -E "^$4" | while read -r name; do
      if [[ $name =~ $text ]]; then
        echo "const char* $name(void) { return \"$library is not on this machine\"; }"
      else
        echo "int $name(void) { return 2; }"
      fi
    done
  } >"$work/stand_in.c"
  [ -z "$version" ] || echo "$version { global: *; };" >"$work/version"
  gcc -shared -fPIC -o "$bundle/missing/$library" -Wl,-soname,"$library" ${version:+-Wl,--version-script="$work/version"} "$work/stand_in.c"
}
stand_in libcublas.so.13 libcublas.so.13 'GetStatus(String|Name)' cublas
stand_in libnccl.so.2 '' 'Get(Error|LastError)' nccl

cp tests/gpu.sh "$bundle/"
{
  echo "keyshard $("$build/bin/keyshard" --version | awk '{ print $NF }'), compute capability ${architectures//;/, }, glibc $(getconf GNU_LIBC_VERSION | awk '{ print $2 }')"
  (cd "$bundle" && find bin lib missing -type f -printf '%s %p\n' | sort -rn)
} >"$bundle/BUNDLE"
mkdir -p "$(dirname "$file")"
XZ_OPT="-6 -T1" tar -C "$work" -cJf "$file" keyshard-gpu

bytes=$(stat -c %s "$file")
echo "$file: $((bytes / 1000)) kB, unpacked $(du -sk "$bundle" | awk '{ print $1 }') kB"
if [ "$bytes" -ge "$most" ]; then
  echo "expected a bundle of less than $((most / 1000)) kB: found $((bytes / 1000)) kB" >&2
  exit 1
fi
