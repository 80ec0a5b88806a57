// Atomic operations on a word that several lanes of a launch use. Every one is a place where a
// simulated lane may give way (runtime/sim_block.hpp).
#pragma once

#include <cstdint>

#include "runtime/portable.hpp"

#ifdef __CUDACC__
#include <cuda/atomic>
#endif
#ifdef KEYSHARD_SIM
#include "runtime/sim_block.hpp"
#endif

namespace keyshard {

/// A word of 32 or 64 bits in memory of the device. The operations are relaxed: what a launch has
/// written is seen by the next launch of the stream, and nothing is handed from lane to lane inside
/// a launch but the word itself.
template <class T>
class AtomicWord {
  static_assert(std::is_integral_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));

 public:
  KEYSHARD_HD explicit AtomicWord(T& word) : word_(&word) {}

  KEYSHARD_HD T load() const {
#ifdef __CUDA_ARCH__
    return device().load(cuda::memory_order_relaxed);
#else
    give_way();
    return __atomic_load_n(word_, __ATOMIC_RELAXED);
#endif
  }

  /// Returns the value before.
  KEYSHARD_HD T fetch_add(T value) const {
#ifdef __CUDA_ARCH__
    return device().fetch_add(value, cuda::memory_order_relaxed);
#else
    give_way();
    return __atomic_fetch_add(word_, value, __ATOMIC_RELAXED);
#endif
  }

  /// Returns the value before.
  KEYSHARD_HD T fetch_or(T value) const {
#ifdef __CUDA_ARCH__
    return device().fetch_or(value, cuda::memory_order_relaxed);
#else
    give_way();
    return __atomic_fetch_or(word_, value, __ATOMIC_RELAXED);
#endif
  }

  /// Replaces `expected` by `value`, or sets `expected` to what it found and returns false.
  KEYSHARD_HD bool compare_exchange(T& expected, T value) const {
#ifdef __CUDA_ARCH__
    return device().compare_exchange_strong(expected, value, cuda::memory_order_relaxed);
#else
    give_way();
    return __atomic_compare_exchange_n(word_, &expected, value, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
#endif
  }

  /// Makes the word `value` where that is smaller.
  KEYSHARD_HD void make_at_most(T value) const {
    T now = load();
    while (value < now && !compare_exchange(now, value)) {
    }
  }

 private:
#ifdef __CUDA_ARCH__
  __device__ auto device() const { return cuda::atomic_ref<T, cuda::thread_scope_device>(*word_); }
#else
  static void give_way() {
#ifdef KEYSHARD_SIM
    sim::point();
#endif
  }
#endif

  T* word_;
};

}  // namespace keyshard
