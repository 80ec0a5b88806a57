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

/// The lines of `n` elements at `data`, to be read.
template <class T>
KEYSHARD_HD inline void prefetch(const T* data, std::int64_t n) {
#ifndef __CUDA_ARCH__
  const auto* bytes = reinterpret_cast<const char*>(data);
  for (std::int64_t at = 0; at < n * static_cast<std::int64_t>(sizeof(T)); at += 64) {
    __builtin_prefetch(bytes + at, 0);
    keep_prefetch();
  }
#endif
}

/// The same, to be written.
template <class T>
KEYSHARD_HD inline void prefetch_to_write(T* data, std::int64_t n) {
#ifndef __CUDA_ARCH__
  auto* bytes = reinterpret_cast<char*>(data);
  for (std::int64_t at = 0; at < n * static_cast<std::int64_t>(sizeof(T)); at += 64) {
    __builtin_prefetch(bytes + at, 1);
    keep_prefetch();
  }
#endif
}

}  // namespace keyshard
