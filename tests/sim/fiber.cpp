// Never instrumented for threads itself. KEYSHARD_SIM_TSAN says that the kernels are.
#include "tests/sim/fiber.hpp"

#include <new>

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef KEYSHARD_SIM_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__)
// Saves the registers that a call keeps, changes stacks, and restores them. swapcontext costs two
// system calls in place of these lines.
extern "C" void keyshard_sim_switch(void** save, void* load);
asm(R"(
.text
.globl keyshard_sim_switch
.type keyshard_sim_switch,@function
keyshard_sim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size keyshard_sim_switch,.-keyshard_sim_switch
)");
#else
#error "tests/sim: expected x86-64: no switch of stacks is written for another processor"
#endif

namespace keyshard::sim {
namespace {

constexpr std::size_t kPage = 4096;
constexpr int kSavedRegisters = 6;

char* lowest(const Fiber& fiber) { return static_cast<char*>(const_cast<void*>(fiber.stack)); }

}  // namespace

void prepare(Fiber& fiber, void (*entry)()) {
  if (fiber.stack == nullptr) {
    void* area = mmap(nullptr, kPage + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) {
      throw std::bad_alloc();
    }
    mprotect(area, kPage, PROT_NONE);  // below the stack
    fiber.stack = static_cast<char*>(area) + kPage;
    fiber.stack_bytes = kStackBytes;
#ifdef KEYSHARD_SIM_TSAN
    fiber.tsan = __tsan_create_fiber(0);
#endif
  }
  auto* top = reinterpret_cast<void**>(lowest(fiber) + kStackBytes - 64);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < kSavedRegisters; ++i) {
    *--top = nullptr;
  }
  fiber.stack_pointer = top;
}

void destroy(Fiber& fiber) {
  if (fiber.stack != nullptr) {
    munmap(lowest(fiber) - kPage, kPage + kStackBytes);
#ifdef KEYSHARD_SIM_TSAN
    __tsan_destroy_fiber(fiber.tsan);
#endif
    fiber = {};
  }
}

__attribute__((no_sanitize("thread"))) void switch_to(Fiber& from, Fiber& to, bool from_ended) {
#ifdef KEYSHARD_SIM_TSAN
  __tsan_switch_to_fiber(to.tsan, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(from_ended ? nullptr : &from.asan, to.stack, to.stack_bytes);
#else
  static_cast<void>(from_ended);
#endif
  keyshard_sim_switch(&from.stack_pointer, to.stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.asan, nullptr, nullptr);
#endif
}

void arrive([[maybe_unused]] Fiber& host) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &host.stack, &host.stack_bytes);
#endif
}

Fiber fiber_of_thread() {
  Fiber fiber;
#ifdef KEYSHARD_SIM_TSAN
  fiber.tsan = __tsan_get_current_fiber();
#endif
  return fiber;
}

void release([[maybe_unused]] void* place) {
#ifdef KEYSHARD_SIM_TSAN
  __tsan_release(place);
#endif
}

void acquire([[maybe_unused]] void* place) {
#ifdef KEYSHARD_SIM_TSAN
  __tsan_acquire(place);
#endif
}

}  // namespace keyshard::sim
