// What a functor needs to compile for a host and for a device: one definition per build, never per
// compiler, so that two halves of one program cannot disagree on a type.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#ifdef KEYSHARD_WITH_CUDA
#include <cuda/atomic>
#endif

/// Marks a function that runs on the host and on the device. A qualifier may depend on the
/// compiler; a type may not.
#ifdef __CUDACC__
#define KEYSHARD_HD __host__ __device__
#else
#define KEYSHARD_HD
#endif

/// A function of the innermost loops, to be expanded where it is called.
#define KEYSHARD_INLINE [[gnu::always_inline]] inline

/// Says that what a pointer parameter points to is reached by no other parameter.
#define KEYSHARD_RESTRICT __restrict__

namespace keyshard {

/// A key (id) of a table: every 64-bit value is legal.
using Key = std::uint64_t;

/// A row of a table on one rank. Stable while the table grows.
using RowId = std::uint32_t;
inline constexpr RowId kNoRow = 0xFFFFFFFFu;

/// Host-side view of contiguous elements. Functors hold plain pointers.
template <class T>
using Span = std::span<T>;

/// The only atomics of functors; on words of 32 or 64 bits.
#ifdef KEYSHARD_WITH_CUDA
template <class T>
using AtomicRef = cuda::atomic_ref<T, cuda::thread_scope_device>;
#else
template <class T>
using AtomicRef = std::atomic_ref<T>;
#endif

}  // namespace keyshard
