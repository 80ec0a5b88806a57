// g++ -fsanitize=thread calls a function for every access of memory. Linked in place of
// ThreadSanitizer these functions check each access of a kernel: is it memory of the device, is it
// aligned; and another lane may go first there.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "runtime/sim_block.hpp"
#include "tests/sim/memory.hpp"
#include "tests/sim/queues.hpp"
#include "tests/sim/traffic.hpp"

namespace {

constexpr std::uintptr_t kSector = 32;

/// The sectors that the running kernel has touched: a hash table in memory of this file, for what
/// the standard library instantiates may be instrumented.
struct Touched {
  static constexpr std::size_t kSlots = std::size_t{1} << 20;

  std::uintptr_t sectors[kSlots];  // number * 2, and 1 more where it was written; 0: free
  std::size_t used = 0;
  std::int64_t kernel = -1;  // the operation of its queue
};

Touched touched;
keyshard::sim::Traffic all;

/// Counts a sector for the running kernel, once.
void touch(std::uintptr_t sector, bool write) {
  const std::uintptr_t mark = sector * 2 + (write ? 1 : 0);
  std::size_t at = static_cast<std::size_t>(mark * 0x9E3779B97F4A7C15u >> 44);
  for (; touched.sectors[at] != mark; at = (at + 1) % Touched::kSlots) {
    if (touched.sectors[at] == 0) {
      if (++touched.used > Touched::kSlots / 2) {
        std::fputs("a kernel touches more sectors than traffic() can count\n", stderr);
        std::abort();
      }
      touched.sectors[at] = mark;
      (write ? all.written : all.read) += static_cast<std::int64_t>(kSector);
      return;
    }
  }
}

void count_traffic(const void* address, std::size_t bytes, bool write) {
  if (!keyshard::sim::is_device(address, bytes)) {
    return;  // parameters of the kernel, and variables of a lane
  }
  if (touched.kernel != keyshard::sim::operations()) {
    touched.kernel = keyshard::sim::operations();
    touched.used = 0;
    for (std::uintptr_t& sector : touched.sectors) {
      sector = 0;
    }
  }
  const auto first = reinterpret_cast<std::uintptr_t>(address);
  for (std::uintptr_t s = first / kSector; s <= (first + bytes - 1) / kSector; ++s) {
    touch(s, write);
  }
}

bool counting = false;

void hook(const volatile void* address, std::size_t bytes, bool write, bool aligned = true) {
  if (keyshard::sim::inside_kernel()) {
    keyshard::sim::check_access(const_cast<const void*>(address), bytes, write, aligned);
    if (counting) {
      count_traffic(const_cast<const void*>(address), bytes, write);
    }
  }
}

}  // namespace

namespace keyshard::sim {

Traffic traffic() { return all; }

void reset_traffic() {
  all = {};
  counting = true;
}

}  // namespace keyshard::sim

extern "C" {

void __tsan_init() {}

void __tsan_func_entry(void*) {}

void __tsan_func_exit() {}

#define KEYSHARD_HOOKS_OF(n)                                           \
  void __tsan_read##n(void* p) { hook(p, n, false); }                  \
  void __tsan_write##n(void* p) { hook(p, n, true); }                  \
  void __tsan_unaligned_read##n(void* p) { hook(p, n, false, false); } \
  void __tsan_unaligned_write##n(void* p) { hook(p, n, true, false); } \
  void __tsan_volatile_read##n(void* p) { hook(p, n, false); }         \
  void __tsan_volatile_write##n(void* p) { hook(p, n, true); }
KEYSHARD_HOOKS_OF(1)
KEYSHARD_HOOKS_OF(2)
KEYSHARD_HOOKS_OF(4)
KEYSHARD_HOOKS_OF(8)
KEYSHARD_HOOKS_OF(16)

void __tsan_read_range(void* p, std::size_t n) {
  if (n > 0) {
    hook(p, n, false, false);
  }
}

void __tsan_write_range(void* p, std::size_t n) {
  if (n > 0) {
    hook(p, n, true, false);
  }
}

void __tsan_vptr_update(void**, void*) {}

void __tsan_vptr_read(void**) {}

#define KEYSHARD_CHANGE(bits, T, name)                          \
  T __tsan_atomic##bits##_##name(volatile T* p, T value, int) { \
    hook(p, bits / 8, true);                                    \
    return __atomic_##name(p, value, __ATOMIC_SEQ_CST);         \
  }
#define KEYSHARD_ATOMICS_OF(bits, T)                                                               \
  T __tsan_atomic##bits##_load(const volatile T* p, int) {                                         \
    hook(p, bits / 8, false);                                                                      \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                   \
  }                                                                                                \
  void __tsan_atomic##bits##_store(volatile T* p, T value, int) {                                  \
    hook(p, bits / 8, true);                                                                       \
    __atomic_store_n(p, value, __ATOMIC_SEQ_CST);                                                  \
  }                                                                                                \
  T __tsan_atomic##bits##_exchange(volatile T* p, T value, int) {                                  \
    hook(p, bits / 8, true);                                                                       \
    return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST);                                        \
  }                                                                                                \
  KEYSHARD_CHANGE(bits, T, fetch_add)                                                              \
  KEYSHARD_CHANGE(bits, T, fetch_sub)                                                              \
  KEYSHARD_CHANGE(bits, T, fetch_and)                                                              \
  KEYSHARD_CHANGE(bits, T, fetch_or)                                                               \
  KEYSHARD_CHANGE(bits, T, fetch_xor)                                                              \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* expected, T value, int,      \
                                                    int) {                                         \
    hook(p, bits / 8, true);                                                                       \
    return __atomic_compare_exchange_n(p, expected, value, false, __ATOMIC_SEQ_CST,                \
                                       __ATOMIC_SEQ_CST);                                          \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* expected, T value, int, int) { \
    return __tsan_atomic##bits##_compare_exchange_strong(p, expected, value, 0, 0);                \
  }
KEYSHARD_ATOMICS_OF(8, std::uint8_t)
KEYSHARD_ATOMICS_OF(16, std::uint16_t)
KEYSHARD_ATOMICS_OF(32, std::uint32_t)
KEYSHARD_ATOMICS_OF(64, std::uint64_t)

void __tsan_atomic_thread_fence(int) {}

void __tsan_atomic_signal_fence(int) {}

}  // extern "C"
