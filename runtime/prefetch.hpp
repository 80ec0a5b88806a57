// Fetches memory into the cache ahead of its use. A hint: it changes no result and reads nothing.
#pragma once

#include <cstdint>

#include "runtime/portable.hpp"

namespace keyshard {

/// Compilers take a function that only fetches ahead for one without effect, and remove calls of
/// it: this empty statement is an effect. It has no instruction.
KEYSHARD_HD KEYSHARD_INLINE void keep_prefetch() {
#ifndef __CUDA_ARCH__
  asm volatile("");
#endif
}

/// Fetches the cache lines that `n` elements at `data` touch; kWrite: 1 to write them, else 0.
template <int kWrite, class T>
KEYSHARD_HD KEYSHARD_INLINE void prefetch_lines(const T* data, std::int64_t n) {
#ifndef __CUDA_ARCH__
  constexpr std::uintptr_t kLine = 64;
  const auto begin = reinterpret_cast<std::uintptr_t>(data) & ~(kLine - 1);
  const auto end =
      reinterpret_cast<std::uintptr_t>(data) + static_cast<std::uintptr_t>(n) * sizeof(T);
  for (std::uintptr_t line = begin; line < end; line += kLine) {
    __builtin_prefetch(reinterpret_cast<const char*>(line), kWrite);
    keep_prefetch();
  }
#endif
}

/// The lines of `n` elements at `data`, to be read.
template <class T>
KEYSHARD_HD inline void prefetch(const T* data, std::int64_t n) {
  prefetch_lines<0>(data, n);
}

/// The same, to be written.
template <class T>
KEYSHARD_HD inline void prefetch_to_write(T* data, std::int64_t n) {
  prefetch_lines<1>(data, n);
}

}  // namespace keyshard
